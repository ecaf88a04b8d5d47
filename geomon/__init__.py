"""Geofencing and electronic-monitoring stream processor for community corrections (社区矫正)."""

__version__ = "0.1.0"
