"""From a question to its answer: gate, cut the hole, ask the engine, choose what is shown. The door is
`complete(question, engine)`.

A `Question` (question.py) is frozen and holds all that is known when it is answered, so each step takes it and nothing
beside it. `completion.py` has the order of the steps, engine_request.py what travels to the engine, replies.py the
answers as they are made. An `Answer` (answers.py) is what the editor is told, and what `quicksilver/explain` says.
What is on the screen, and what is left of it while it is typed, stands in ghost_text.py; when a new text may appear,
in settling.py. Nothing here knows LSP messages, sessions or processes.
"""

from .answers import Answer as Answer
from .question import Question as Question
from .selected_item import complete as complete
