"""The tracks: one file each, the file's name is the track's name."""
