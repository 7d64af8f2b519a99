"""The scheduling core: what each loudspeaker will say, and why. Pure: no I/O, no clock, no log."""
