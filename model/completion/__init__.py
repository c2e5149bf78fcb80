"""One request, from text to text: `infiller.DenoisingInfiller` begins jobs, `job.CompletionJob` does the work."""
