"""The engine's work: its queue, the one thread that runs the model, its metrics. `worker.Worker` is the door.

`Worker.complete(request)` waits for a slot and then for the answer. Up to eight jobs advance together, a forward at a
time; `queue.py` orders those that wait by deadline and turns down those that cannot be in time. One request's failure
leaves the others alone.
"""
