"""Turns a fake with a blocking `complete` into an infiller of jobs, each done in one go."""

from types import SimpleNamespace


class OneByOne:
    """To be inherited from; complete is the fake's own."""

    def complete(self, request, is_cancelled):
        raise NotImplementedError

    def begin(self, request, is_cancelled):
        return SimpleNamespace(request=request, is_cancelled=is_cancelled, completion=None, error=None)

    def advance(self, jobs, n_waiting=0):
        for job in jobs:
            try:
                job.completion = self.complete(job.request, job.is_cancelled)
            except Exception as error:
                job.error = error
