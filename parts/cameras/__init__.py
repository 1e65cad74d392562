"""Where pictures come from: a Pi camera, a webcam, a recording, a pattern."""
