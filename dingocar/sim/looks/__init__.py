"""The looks: one file each, the file's name is the look's name."""
