"""The commands of `dingocar`, one file each; `main` dispatches."""
