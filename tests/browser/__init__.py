"""The web page in a real browser, driving a simulated car."""
