"""What keeps the car from driving when it must not: the gate and the watchdog."""
