"""The web page: the car's picture and controls in a browser, served by a process of its own."""
