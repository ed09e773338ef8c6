"""The data plane: forwards a call as it came, appends what passed to the journal, knows nothing else."""
