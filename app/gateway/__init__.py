"""The gateway: live grids over websockets, straight from shared memory, and CSV of what they show."""
