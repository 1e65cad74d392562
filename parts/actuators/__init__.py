"""What makes the car move, and brings it to rest."""
