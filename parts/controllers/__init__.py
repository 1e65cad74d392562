"""Who drives by hand: the hub that arbitrates, gamepads, the web page."""
