"""What a job would take on a cluster: simulated from its plan, its mesh and a description of the machines."""
