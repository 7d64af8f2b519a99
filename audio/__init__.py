"""From words or recordings to sounds that a box can play. Knows no zones, no MQTT, no HTTP."""
