"""One request, from text to text: `infiller.DenoisingInfiller` begins jobs, `job.CompletionJob` does the work.

The infiller holds what outlives a request: checkpoint, runner, layout, cache. A job is a generator that asks for
forwards (`model.requests`). `layout.py` turns the surroundings into context tokens, `indentation.py` chooses the
indentation at the beginning of a line, `writing.py` lets the model write, `ending.py` ends what need not go on,
`progress.py` tells how far an answer has come, `answer.py` makes the result.
"""
