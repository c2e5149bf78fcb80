"""From a question to its answer: gate, cut the hole, ask the engine, choose what is shown.

The door is `completion.complete_inline(question, engine)`. A `Question` (question.py) is frozen and holds all that is
known when it is answered, so each step takes it and nothing beside it; an `Answer` (answers.py) is what the editor is
told and what `quicksilver/explain` says. Which text is on the screen and what is left of it while it is typed stands in
ghost_text.py, when a new one may appear in settling.py. Nothing here knows LSP messages, sessions or processes.
"""
