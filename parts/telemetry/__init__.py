"""What a drive tells others: a CSV file, an MQTT broker."""
