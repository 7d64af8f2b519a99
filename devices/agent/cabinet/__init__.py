"""What stands around the box: amplifier, sensors, and who watches over it."""
