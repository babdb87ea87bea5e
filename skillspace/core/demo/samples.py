"""The sample people: a small team that does not exist, with JSON Resume documents beside it.

Read by `demo.service` alone. Names, companies and schools are invented; addresses end in
`.example` (RFC 2606), phone numbers are from ranges reserved for fiction.
"""

from importlib.resources import files
from typing import Final

import msgspec

from skillspace.core.values import Json, Value


class Sample(Value, frozen=True, kw_only=True):
    """A sample person.

    Args:
        username: Begins with `demo.`, so that it meets no real one.
        display_name: As people write it.
        email: Tells a sample person from a real one.
        resumes: A title for each language there is a document in.
    """

    username: str
    display_name: str
    email: str
    resumes: dict[str, str]


SAMPLES: Final = (
    Sample(
        username="demo.lin-yue",
        display_name="林悦 Lin Yue",
        email="lin.yue@team.example",
        resumes={"zh": "林悦 · 后端工程师", "en": "Lin Yue · Backend Engineer"},
    ),
    Sample(
        username="demo.chen-zimo",
        display_name="陈子墨",
        email="chen.zimo@team.example",
        resumes={"zh": "陈子墨 · 数据工程师"},
    ),
    Sample(
        username="demo.wang-ruoxi",
        display_name="王若曦",
        email="wang.ruoxi@team.example",
        resumes={"zh": "王若曦 · 前端开发（应届）"},
    ),
    Sample(
        username="demo.amara-okafor",
        display_name="Amara Okafor",
        email="amara.okafor@team.example",
        resumes={"en": "Amara Okafor · Product Designer"},
    ),
    Sample(
        username="demo.jonas-weber",
        display_name="Jonas Weber",
        email="jonas.weber@team.example",
        resumes={"en": "Jonas Weber · Site Reliability Engineer"},
    ),
)


def read_document(sample: Sample, language: str) -> dict[str, Json]:
    """Return a sample person's JSON Resume document in one of their languages."""
    name = f"{sample.username.removeprefix('demo.')}.{language}.json"
    data = (files("skillspace.core.demo") / "documents" / name).read_bytes()
    document: dict[str, Json] = msgspec.json.decode(data)
    return document
