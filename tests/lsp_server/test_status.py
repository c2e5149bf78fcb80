"""What the server says it is doing, with a clock and timers of the test's own."""

from quicksilver.lsp_server.status import BUSY_S, QUIET_S, Status


class Timers:
    def __init__(self):
        self.now_s = 1000.0
        self.waiting = []

    def later(self, seconds, call):
        timer = Timer(self, self.now_s + seconds, call)
        self.waiting.append(timer)
        return timer

    def pass_s(self, seconds):
        self.now_s += seconds
        for timer in [timer for timer in self.waiting if timer.at_s <= self.now_s]:
            self.waiting.remove(timer)
            timer.call()


class Timer:
    def __init__(self, timers, at_s, call):
        self.timers, self.at_s, self.call = timers, at_s, call

    def cancel(self):
        if self in self.timers.waiting:
            self.timers.waiting.remove(self)


def made():
    timers, told = Timers(), []
    return Status(told.append, timers.later, clock_s=lambda: timers.now_s), timers, told


def test_a_start_and_an_answer():
    status, timers, told = made()
    assert status.describe()["message"] == "the engine starts with the first question"
    status.engine("starting", "loading the model")
    status.engine("ready")
    status.answered(12.34, "nano", {"shown": 1})
    status.answered(31.26, "nano", {"shown": 1})
    timers.pass_s(QUIET_S)
    assert [each["state"] for each in told] == ["starting", "ready", "ready"]
    assert told[0]["message"] == "starting: loading the model"
    assert told[-1]["message"] == "nano, last answer in 31 ms"
    assert (told[-1]["latency_ms"], told[-1]["model"], told[-1]["counts"]) == (31.3, "nano", {"shown": 1})


def test_which_model_serves_and_why():
    status, timers, told = made()
    assert status.describe()["choice"] is None
    status.engine("starting", "loading the model")
    status.serves("base: coder takes 640 ms a key here, more than 250")
    assert (told[-1]["state"], told[-1]["message"]) == ("ready", "base: coder takes 640 ms a key here, more than 250")
    status.answered(31.26, "base", {})
    timers.pass_s(QUIET_S)
    assert told[-1]["message"] == "base, last answer in 31 ms"
    assert told[-1]["choice"] == "base: coder takes 640 ms a key here, more than 250"
    status.answered(80.0, "coder", {})
    assert status.describe()["choice"] is None  # of an engine that was stopped since
    status.serves("")
    assert status.describe()["choice"] is None


def test_only_a_long_question_is_busy():
    status, timers, told = made()
    with status.question():
        timers.pass_s(BUSY_S / 2)
    timers.pass_s(BUSY_S)
    assert told == []
    with status.question(), status.question():
        timers.pass_s(BUSY_S)
        assert status.state == "busy"
    assert status.state == "ready"
    assert [each["state"] for each in told] == ["busy", "ready"]


def test_off_goes_before_snoozed_before_failed():
    status, _, told = made()
    status.engine("failed", "no memory")
    status.snooze(600)
    status.switch(on=False)
    status.switch(on=True)
    status.snooze(0)
    assert [each["state"] for each in told] == ["failed", "snoozed", "off", "snoozed", "failed"]
    assert told[0]["message"] == "no memory"


def test_a_snooze_ends_by_itself_and_says_so():
    status, timers, told = made()
    status.snooze(60)
    assert status.is_snoozed
    assert told[-1]["snoozed_until_ms"] == 1_060_000
    timers.pass_s(61)
    assert not status.is_snoozed
    assert (told[-1]["state"], told[-1]["snoozed_until_ms"]) == ("ready", None)


def test_nothing_new_is_not_told_again():
    status, timers, told = made()
    status.switch(on=True)
    status.counted({})
    timers.pass_s(QUIET_S)
    assert told == []
    status.counted({"shown": 1})
    status.counted({})
    timers.pass_s(QUIET_S)
    assert told == []
