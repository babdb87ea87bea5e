"""What is asked of the chat service, and what it answers at once."""

from typing import Literal

from skillspace.core.values import PromptMessage, Sampling, Value

MessageStatus = Literal["pending", "complete", "partial", "failed"]


class Ask(Value, frozen=True, kw_only=True):
    """A prompt and how to answer it.

    Args:
        prompt: What the person typed.
        context: Text that goes before it, such as a piped file.
        session_id: The conversation to go on with; None begins a new one.
        system: Replaces the session's system text when not None.
        model: A name or path; None for the configured one.
        resume_id: A resume the model may read.
        sampling: How tokens are drawn.
        save: False keeps neither prompt nor answer once it has been read.
    """

    prompt: str
    context: str = ""
    session_id: int | None = None
    system: str | None = None
    model: str | None = None
    resume_id: int | None = None
    sampling: Sampling = Sampling()
    save: bool = True


class Exchange(Value, frozen=True, kw_only=True):
    """A prompt that was accepted: follow the task for its answer.

    Args:
        task_id: The generation's task.
        session_id: The conversation; None when it is not saved.
        prompt_id: The prompt's message.
        answer_id: The message that will hold the answer.
    """

    task_id: str
    session_id: int | None = None
    prompt_id: int | None = None
    answer_id: int | None = None


class ChatPayload(Value, frozen=True, kw_only=True):
    """The payload of a chat task: ids of saved messages, or the prompt itself when unsaved."""

    session_id: int | None = None
    answer_id: int | None = None
    turns: tuple[PromptMessage, ...] = ()
    system: str = ""
    model: str = "auto"
    resume_id: int | None = None
    sampling: Sampling = Sampling()
