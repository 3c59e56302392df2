"""Words, phrases and patterns in the bodies of log records, of any script and form: found by an index as by a scan."""

# ruff: noqa: RUF001 - characters that look like others are what this is about
import contextlib
import random
import re

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.stores.clickhouse import SchemaAccount
from duoscope.telemetry.language import Signal, compile_query

NOW = now_unix_nano()
ESC = "\x1b"

FOUND = [
    # Scripts without spaces between words: any part.
    ("数据库连接失败，请重试", ["连接失败", "请重试", "库", '"接失"', "*连接*", "请*试"], ["败请", "连败", '"连败"']),
    ("ユーザーのログインに失敗しました", ["ログイン", "失敗", "ザー", "ﾛｸﾞｲﾝ"], ["ログアウト"]),
    ("เชื่อมต่อฐานข้อมูลไม่สำเร็จ", ["ฐานข้อมูล", "ไม่สำเร็จ"], ["ฐานทัพ"]),
    ("ការតភ្ជាប់បរាជ័យ", ["តភ្ជាប់", "បរាជ័យ"], []),
    ("ການເຊື່ອມຕໍ່ລົ້ມເຫລວ", ["ເຊື່ອມຕໍ່"], []),
    ("ချိတ်ဆက်မှု မအောင်မြင်ပါ", ["ဆက်မှု", "အောင်မြင်"], []),
    ("调用API失败42次", ["api", "API失败", "42", "失败42次"], ["AP", "4"]),
    # Scripts with spaces: whole words.
    ("결제 서버 연결 실패", ["연결", '"서버 연결"', "*버*"], ["결"]),
    ("ОШИБКА подключения", ["ошибка", "Подключения", '"ошибка под"'], ["ошиб"]),
    ("خطأ في الاتصال", ["خطأ", "الاتصال"], []),
    ("Η σύνδεση απέτυχε ΤΕΛΟΣ", ["τελος", "ΑΠΈΤΥΧΕ"], []),
    # Case and composition.
    ("Straße in İstanbul", ["STRASSE", "strasse", "straße", "i\u0307stanbul"], ["stra"]),
    ("re\u0301sume\u0301 café", ["résumé", "RÉSUMÉ", "cafe\u0301", "Café"], ["cafe", "resume"]),
    ("ＥＲＲＯＲ：ｄｉｓｋ　ｆｕｌｌ", ["error", "disk", '"disk full"', "ＤＩＳＫ"], []),
    # Punctuation, symbols, spaces and emoji stand between words.
    ("request “timeout” seen", ["timeout", "“timeout”", '"“timeout” s"'], ["“seen”"]),
    ("a—timeout", ["timeout", "a—timeout"], []),
    ("a→timeout…done", ["timeout", "done"], []),
    ("read\u00a0timeout\u2003now\u3000ok", ["timeout", "now", "ok", '"read timeout now"'], []),
    ("🔥timeout🔥✅done👩‍👩‍👧kids 1️⃣one", ["timeout", "done", "kids", "🔥", "👧", "one"], ["🎉"]),
    ("•timeout ¿timeout? «wait» 100€ x²", ["timeout", "wait", "100", "€", "x2"], []),
    ("\ufefftimeout", ["timeout"], []),
    ("فارسی می\u200cشود", ["می\u200cشود", "میشود"], []),
    # Phrases are found within words, too.
    ("upstream connection refused by peer", ['"nection refused by pe"', '"onnectio"', '"m c"', '"ref"'],
     ["nection", '"refused connection"']),
    ("value is 100% of a_b", ['"100%"', '"a_b"', "*0%*", "a_b"], ['"100_"', "*a%b*"]),
    ("value is 100％ of it", ["*100%*", "*100％*"], ["*1％0*"]),
    # Colours of terminals.
    (f"{ESC}[31mERROR{ESC}[0m pool {ESC}[1;38;5;196mclo{ESC}[0msed", ["error", "pool", "closed", '"ERROR pool closed"'],
     ["31merror", "0m"]),
    (f"{ESC}]8;;http://hidden.example{ESC}\\the link{ESC}]8;;\x07 \x9b32mgreen", ["link", "green"], ["hidden"]),
    # Structures are searched by their texts.
    ({"message": 'first line\nsecond\tthird said "fourth" path C:\\fifth\rsixth\bseven\x0ceight'},
     ["first", "line", "second", "third", "fourth", "fifth", "sixth", "seven", "eight",
      '"said \\"fourth\\""', '"C:\\\\fifth"', '"line\nsecond"'], ["nsecond", "tthird", "u0008seven"]),
    ({"m": f"{ESC}[31mred{ESC}[0m", "n": ["错误\n日志", 7, "b\\n"]}, ["red", "错误", "日志", "误", "7"], ["31mred"]),
    (["x\ny", {"deep": "“q”"}], ["x", "y", "deep", "q"], ["ny"]),
    ('{"msg":"one\\ntwo C:\\\\new \\u001b[32mok\\u001b[0m"}', ["one", "two", "new", "ok", '"one\ntwo"'], []),
    ('level=error msg="one\\ntwo" p=C:\\', ["one", "two", '"one\ntwo"'], []),
    (' {"a":"x\\ny"}', ["x", "y"], []),
    ("C:\\new\\table", ["new", "table", '"C:\\\\new"'], ["ew", "able"]),
    ("plain Words_here it's 10.0.0.1", ["words", "here", "words_here", "it's", "10.0.0.1", '"\'s 10"'], ["word"]),
]  # fmt: skip


@pytest.fixture
def bodies(telemetry_store, deliver, otlp, new_scope):
    """Stores one record a body; `find` answers which a query finds, `scan` which each of many does without an index."""

    async def store(*texts):
        scope = new_scope()
        records = [{"time_unix_nano": NOW + n, "body": body, "severity_text": str(n)} for n, body in enumerate(texts)]
        await deliver(scope, otlp.logs("s", *records))
        reader = telemetry_store.bind(scope)

        async def find(query):
            condition = compile_query(query, Signal.LOGS)
            statement = f"SELECT severity_text AS n FROM @logs WHERE {condition.sql}"
            return {int(row["n"]) for row in await reader.query(statement, condition.parameters, name="test")}

        async def scan(queries):
            columns, parameters = [], {}
            for number, query in enumerate(queries):
                condition = compile_query(query, Signal.LOGS)
                # What the index of bodies does to them first.
                sql = condition.sql.replace("hasAllTokens(body, ", "hasAllTokens(lower(body), ")
                columns.append(re.sub(r"\{(q\d+):", rf"{{n{number}_\1:", sql) + f" AS found_{number}")
                parameters |= {f"n{number}_{name}": value for name, value in condition.parameters.items()}
            statement = f"SELECT severity_text AS n, {', '.join(columns)} FROM @logs SETTINGS use_skip_indexes = 0"
            rows = await reader.query(statement, parameters, name="test")
            return [{int(row["n"]) for row in rows if row[f"found_{number}"]} for number in range(len(queries))]

        return find, scan

    return store


async def test_words_of_any_script_and_form(bodies):
    _, scan = await bodies(*(body for body, _, _ in FOUND))
    queries = [query for _, present, absent in FOUND for query in present + absent]
    found = dict(zip(queries, await scan(queries), strict=True))
    wrong = []
    for number, (body, present, absent) in enumerate(FOUND):
        wrong += [f"{query!r} does not find {body!r}" for query in present if number not in found[query]]
        wrong += [f"{query!r} finds {body!r}" for query in absent if number in found[query]]
    assert not wrong


async def test_an_index_finds_what_a_scan_finds(bodies):
    find, scan = await bodies(*(body for body, _, _ in FOUND))
    queries = [present[0] for _, present, _ in FOUND] + ['"nection refused by pe"', "*0%*", "“timeout”", '"\'s 10"']
    for query, by_scan in zip(queries, await scan(queries), strict=True):
        assert await find(query) == by_scan, query
    for query in ("timeout", "连接", '"“timeout” s"'):
        assert await find(f"-{query}") == {*range(len(FOUND))} - await find(query)


_PIECES = (
    "timeout",
    "Ошибка",
    "连接",
    "失败",
    "ログイン",
    "ฐาน",
    "Straße",
    "é",
    "e\u0301",
    "42",
    "ﬁn",
    "Ⅷ",
    "１２",
    "한국어",
    "ß",
)
_BETWEEN = (
    " ",
    "—",
    "“",
    "”",
    "\u00a0",
    "…",
    "🔥",
    "\n",
    "\t",
    '"',
    "\\",
    "_",
    f"{ESC}[31m",
    f"{ESC}[0m",
    "",
    "",
    "\u200b",
    "，",
)


def _random_text(chance):
    return "".join(chance.choice(_PIECES if chance.random() < 0.5 else _BETWEEN) for _ in range(chance.randint(1, 9)))


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def test_rows_of_before_have_the_same_words(bodies, telemetry_store):
    """Their parts have neither the column nor its index."""
    find, scan = await bodies(*(body for body, _, _ in FOUND))
    queries = ["timeout", "连接失败", "ошибка", "pool", "second", '"onnectio"', "words", "-timeout"]
    answers = [await find(query) for query in queries]
    with contextlib.closing(SchemaAccount.open(telemetry_store._settings)) as account:
        partitions = account.query(
            "SELECT DISTINCT partition_id FROM system.parts WHERE database = currentDatabase() AND table = 'logs_v3' "
            "AND active"
        )
        for (partition,) in partitions:
            for what in ("INDEX by_folded_word", "COLUMN body_words"):
                account.execute(
                    f"ALTER TABLE logs_v3 CLEAR {what} IN PARTITION ID '{partition}' SETTINGS mutations_sync = 1"
                )
    assert [await find(query) for query in queries] == answers
    assert (await scan(queries)) == answers


@pytest.mark.parametrize("seed", range(3))
async def test_every_part_of_a_text_is_found(bodies, seed):
    """As a phrase wherever it begins, and as a word where it is one, in a plain body and within a structure."""
    chance = random.Random(seed)
    texts = [_random_text(chance) for _ in range(40)]
    letters = [
        "".join(chr(chance.choice([*range(0x20, 0x7F), *range(0xA0, 0xD800), *range(0x1F300, 0x1FA00)]))
                for _ in range(chance.randint(1, 12)))
        for _ in range(40)
    ]  # fmt: skip
    texts += letters
    find, scan = await bodies(*texts, *({"text": text} for text in texts))
    asked = []
    for number, text in enumerate(texts):
        # Where colours are, and what composes with its neighbour, a part of the text may not be one of what is seen.
        plain = [part for part in re.split(r"\x1b\[\d+m", text) if part]
        if not plain:
            continue
        part = chance.choice(plain)
        asked.append((number, _quoted(part)))
        words = re.findall(r"[a-zA-Z0-9]+|[\u4e00-\u9fff]+", part)
        ascii_only = re.fullmatch(r"[\x00-\x7f\u4e00-\u9fff\u2014\u201c\u201d\u2026]*", text)
        if words and ascii_only and ESC not in text:
            asked.append((number, chance.choice(words)))
    answers = await scan([query for _, query in asked])
    missed = [
        (texts[number], query, found)
        for (number, query), found in zip(asked, answers, strict=True)
        if not {number, number + len(texts)} <= found
    ]
    assert not missed
    for (_, query), by_scan in chance.sample([*zip(asked, answers, strict=True)], 12):
        assert await find(query) == by_scan, query
