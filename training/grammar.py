"""Expand question patterns and add the noise of real typing.

Promises: every function takes its own ``random.Random``, so that the same seed gives the
same text; noise never touches the words that decide what a question is about, except for
single-letter typing errors.
"""

from __future__ import annotations

import random
import re

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_OPTIONAL = re.compile(r"([\u4e00-\u9fff])\?")
CJK = re.compile(r"[\u3400-\u9fff]")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "write": ("draft", "phrase", "word", "compose", "do", "put together"),
    "resume": ("cv", "résumé", "CV", "Resume"),
    "show": ("display", "tell me", "give me"),
    "should": ("ought to", "must", "would", "shall"),
    "good": ("great", "decent", "solid", "proper", "strong"),
    "need": ("require", "want"),
    "improve": ("fix", "polish", "strengthen", "enhance"),
    "help": ("assist", "support"),
    "job": ("position", "role", "work"),
    "list": ("name", "enumerate"),
    "see": ("view", "look at", "check"),
    "delete": ("erase", "remove"),
    "how do i": (
        "how can i",
        "how to",
        "what is the way to",
        "how would one",
        "howto",
        "best way to",
        "show me how to",
        "what's the right way to",
        "i'd like to",
    ),
    "what is": ("what's", "whats", "tell me what is", "explain"),
    "mention": ("bring up", "include", "state"),
    "i am": ("i'm", "im"),
    "do not": ("don't", "dont"),
    "how should i": ("how do you", "how would you", "how does one", "how would i"),
}
_STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "my",
        "i",
        "do",
        "to",
        "for",
        "in",
        "on",
        "of",
        "is",
        "it",
        "that",
        "me",
        "please",
        "with",
        "and",
        "should",
    ]
)
_LEAD_EN = (
    "hi, ",
    "hello, ",
    "hey, ",
    "please tell me, ",
    "quick question: ",
    "can you tell me ",
    "could you explain ",
    "i wonder ",
    "so, ",
    "um, ",
    "ok, ",
    "please: ",
    "question: ",
    "do you know ",
    "i would like to know ",
    "one more thing: ",
    "sorry, ",
    "tell me ",
    "any idea ",
    "seriously, ",
    "just wondering, ",
    "i was asked ",
    "honestly, ",
    "good morning, ",
    "excuse me, ",
    "help: ",
    "be honest: ",
    "in short, ",
    "also, ",
)
_TAIL_EN = (
    " please",
    " thanks",
    ", please",
    " pls",
    ", thank you",
    " thx",
    " asap",
    " right now",
    " exactly",
    " these days",
    " in your opinion",
    ", any advice",
    ", any ideas",
    " today",
    ", can you help",
    ", what do you think",
    " in general",
    " properly",
    ", i am not sure",
    ", keep it short",
    " really",
    " actually",
    " for my application",
    ", be brief",
)
_CONTEXT_EN = (
    "i have worked for six years",
    "i live in berlin",
    "i am applying this week",
    "my friend asked me",
    "the deadline is tomorrow",
    "i moved here last year",
    "i have two kids",
    "it is my second attempt",
    "they told me different things",
    "i have been thinking about it",
    "i read a lot but am confused",
    "there is little time",
    "the company is small",
    "it is a big company",
    "i am not a native speaker",
    "everyone says something else",
    "i am working on it tonight",
    "my boss is nice",
)
_LEAD_ZH = (
    "请问",
    "你好，",
    "您好，",
    "麻烦问下，",
    "想问一下，",
    "问一下",
    "请教一下，",
    "我想知道",
    "能不能告诉我",
    "帮我看看，",
    "那个，",
    "请告诉我",
    "老师好，",
    "急，",
    "话说",
    "想了解",
    "说说",
    "再问一个，",
    "哎，",
    "一般来说，",
    "到底",
    "顺便问下，",
    "我不太懂，",
    "谁知道",
)
_TAIL_ZH = (
    "，谢谢",
    "呢",
    "啊",
    "呀",
    "吗",
    "，急",
    "，求建议",
    "，谢谢你",
    "比较好",
    "才好",
    "，帮帮我",
    "，简单说",
    "，有什么建议",
    "，求助",
    "才合适",
    "，给点意见",
    "，麻烦了",
    "哦",
    "，在线等",
    "嘛",
)
_CONTEXT_ZH = (
    "我工作六年了",
    "我住在上海",
    "这周要投简历",
    "朋友让我问的",
    "明天截止",
    "我去年搬到这里",
    "公司不大",
    "是一家大公司",
    "看了很多还是不懂",
    "每个人说的都不一样",
    "今晚就要弄好",
    "时间不多了",
)
_JUNK = ("ba", "ko", "ri", "ten", "lo", "mar", "shi", "ple", "gra", "no", "vu", "dex", "sta", "ing")


def expand(pattern: str, rng: random.Random) -> str:
    """Expand one pattern with ``[a|b]`` choices (nesting allowed) and optional characters.

    Args:
        pattern: the pattern; ``X?`` after a Chinese character makes that character optional.
        rng: the source of chance.
    """
    while (found := _INNERMOST.search(pattern)) is not None:
        choice = rng.choice(found.group(1).split("|"))
        pattern = pattern[: found.start()] + choice + pattern[found.end() :]
    pattern = _OPTIONAL.sub(lambda m: m.group(1) if rng.random() < 0.5 else "", pattern)
    return re.sub(r" {2,}", " ", pattern).strip()


def _typo(text: str, rng: random.Random) -> str:
    spots = [i for i, c in enumerate(text) if c.isascii() and c.isalpha()]
    if len(spots) < 6:
        return text
    i = rng.choice(spots)
    kind = rng.randrange(4)
    if kind == 0 and i + 1 < len(text):
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if kind == 1:
        return text[:i] + text[i + 1 :]
    if kind == 2:
        return text[:i] + text[i] + text[i:]
    for row in _KEYS:
        at = row.find(text[i].lower())
        if at >= 0:
            near = row[max(0, at - 1)] if rng.random() < 0.5 else row[min(len(row) - 1, at + 1)]
            return text[:i] + near + text[i + 1 :]
    return text


def _junk(rng: random.Random) -> str:
    return "".join(rng.choice(_JUNK) for _ in range(rng.randint(2, 3)))


def noise_en(text: str, rng: random.Random, framed: bool = True) -> str:
    """Return the English question as a person might type it.

    Args:
        text: the clean question, without a final mark.
        rng: the source of chance.
        framed: whether politeness and surrounding sentences may be added.
    """
    for word, others in _SYNONYMS.items():
        if word in text and rng.random() < 0.25:
            text = re.sub(rf"\b{word}\b", rng.choice(others), text, count=1)
    words = text.split(" ")
    if len(words) > 4 and rng.random() < 0.25:
        words = [w for w in words if w not in _STOP or rng.random() < 0.5] or words
    if len(words) > 3 and rng.random() < 0.06:
        words.insert(rng.randrange(len(words)), _junk(rng))
    text = " ".join(words)
    if framed:
        if rng.random() < 0.22:
            text = rng.choice(_LEAD_EN) + text
        if rng.random() < 0.20:
            text += rng.choice(_TAIL_EN)
        if rng.random() < 0.10:
            extra = rng.choice(_CONTEXT_EN)
            text = f"{extra}. {text}" if rng.random() < 0.6 else f"{text}? {extra}"
    for _ in range(rng.choices((0, 1, 2), (0.8, 0.15, 0.05))[0]):
        text = _typo(text, rng)
    style = rng.random()
    if style < 0.5:
        text = text[:1].upper() + text[1:]
        text = re.sub(r"\bi\b", "I", text)
        text = re.sub(r"([.?!] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)
    elif style < 0.53:
        text = text.upper()
    elif style < 0.57:
        text = text.title()
    return text + rng.choices(("?", "", ".", "??", "!", " ?", "..."), (50, 34, 9, 2, 2, 2, 1))[0]


def noise_zh(text: str, rng: random.Random, framed: bool = True) -> str:
    """Return the Chinese question as a person might type it.

    Args:
        text: the clean question, without a final mark.
        rng: the source of chance.
        framed: whether politeness and surrounding sentences may be added.
    """
    for word, others in (
        ("怎么", ("如何", "咋", "怎样", "该怎么")),
        ("什么", ("啥", "哪些")),
        ("简历", ("履历", "CV", "个人简历")),
        ("可以", ("能", "能不能")),
        ("需要", ("要", "有必要")),
        ("工作", ("岗位", "职位")),
    ):
        if word in text and rng.random() < 0.12:
            text = text.replace(word, rng.choice(others), 1)
    if framed:
        if rng.random() < 0.22:
            text = rng.choice(_LEAD_ZH) + text
        if rng.random() < 0.20:
            text += rng.choice(_TAIL_ZH)
        if rng.random() < 0.10:
            extra = rng.choice(_CONTEXT_ZH)
            text = f"{extra}，{text}" if rng.random() < 0.6 else f"{text}？{extra}"
    if len(text) > 6 and rng.random() < 0.08:
        i = rng.randrange(len(text) - 1)
        text = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if len(text) > 8 and rng.random() < 0.08:
        i = rng.randrange(len(text))
        text = text[:i] + text[i + 1 :]
    if rng.random() < 0.06:
        text = text.replace("，", " ").replace("的", "", 1)
    if rng.random() < 0.15:
        text = text.lower()
    return text + rng.choices(("？", "", "?", "。", "！", "??", "..."), (46, 34, 9, 6, 2, 1, 1))[0]
