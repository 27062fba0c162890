"""Side-by-side timings: `python -m bench`. Nothing here is needed to run a job."""
