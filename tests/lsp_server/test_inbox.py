"""Messages between the thread that takes them and the event loop."""

import asyncio
import threading

from quicksilver.lsp_server.protocol.inbox import N_A_TURN, Inbox


async def test_order_is_kept_from_another_thread() -> None:
    seen: list[bytes | None] = []
    ended = asyncio.Event()

    def receive(body: bytes | None) -> None:
        seen.append(body)
        if body is None:
            ended.set()

    inbox = Inbox(asyncio.get_running_loop(), receive)
    bodies = [b"%d" % i for i in range(5000)]

    def send() -> None:
        for body in bodies:
            inbox.put(body)
        inbox.put(None)

    thread = threading.Thread(target=send)
    thread.start()
    await asyncio.wait_for(ended.wait(), 30)
    thread.join()
    assert seen == [*bodies, None]


async def test_what_messages_begin_goes_on_before_all_are_read() -> None:
    open_questions, most = 0, 0
    done = asyncio.Event()
    tasks = set()

    async def question(body: bytes | None) -> None:
        nonlocal open_questions
        open_questions -= 1
        if body == b"last":
            done.set()

    def receive(body: bytes | None) -> None:
        nonlocal open_questions, most
        open_questions += 1
        most = max(most, open_questions)
        tasks.add(asyncio.ensure_future(question(body)))

    inbox = Inbox(asyncio.get_running_loop(), receive)
    for _ in range(1000):
        inbox.put(b"")
    inbox.put(b"last")
    await asyncio.wait_for(done.wait(), 30)
    assert most == N_A_TURN


async def test_a_message_that_fails_leaves_the_others_alone() -> None:
    seen: list[bytes | None] = []
    done = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    def receive(body: bytes | None) -> None:
        if body == b"bad":
            raise ValueError
        seen.append(body)
        if body == b"late":
            done.set()

    inbox = Inbox(asyncio.get_running_loop(), receive)
    for body in (b"good", b"bad", b"good too"):
        inbox.put(body)
    await asyncio.sleep(0.01)
    inbox.put(b"late")  # after it had nothing left to read
    await asyncio.wait_for(done.wait(), 30)
    assert seen == [b"good", b"good too", b"late"]


async def test_nobody_waits_for_the_end() -> None:
    """What a client sent before it went is read in the turn that finds it gone."""
    seen: list[bytes | None] = []
    inbox = Inbox(asyncio.get_running_loop(), seen.append)
    for _ in range(1000):
        inbox.put(b"")
    inbox.put(None)
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == [b""] * 1000 + [None]


async def test_a_message_after_the_end_is_dropped() -> None:
    loop = asyncio.new_event_loop()
    inbox = Inbox(loop, lambda _: None)
    loop.close()
    inbox.put(b"")
