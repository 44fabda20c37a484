"""The measurement: latency, rates, drops, CPU and memory, at the frame rate of a camera."""
