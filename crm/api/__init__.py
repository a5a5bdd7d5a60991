"""The REST door of the floor, and what all REST doors stand on."""
