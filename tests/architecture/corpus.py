"""What comes in from strangers and from programs that went wrong: words, JSON values, ids, headers, whole bodies."""

MEGABYTE = 1024 * 1024

# Texts, as a person or a network might send them.
WORDS = {
    "NUL": "a\x00b",
    "right to left": "\u202egnp.exe\u202c",
    "zero width": "a\u200b\u200d\ufeffb",
    "five thousand": "n" * 5_000,
    "a long word": "w" * 100_000,
    "script": "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>",
    "quote": "'; DROP TABLE crm_ticket; -- \\",
    "template": "{{ settings.SECRET_KEY }}{% debug %}{0.__class__}%s%(x)d",
    "lines": "a\r\nSet-Cookie: x=1\r\n\r\nb",
    "percent": "%00%FF%25%_\\_",
    "number": "9" * 400,
    "minus": "-1",
    "beyond bigint": "9223372036854775808",
    "arabic digits": "٣٤",
    "exponent": "1e400",
    "not a number": "NaN",
    "a list": "[]",
    "an object": '{"a": 1}',
    "null": "null",
    "year zero": "0000-00-00T00:00:00Z",
    "year 10000": "10000-01-01T00:00:00+99:99",
    "far east": "9999-12-31T23:59:59-23:59",
    "emoji": "👩‍👩‍👧‍👦" * 50,
    "marks": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A" * 200,
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\u2029",
    "spaces": " \t\u00a0\u3000 ",
    "empty": "",
}

# The same and worse, where JSON stands.
VALUES = {
    "lone surrogate": b'"\\ud800"',
    "surrogates turned round": b'"\\udc00\\ud800"',
    "escaped NUL": b'"a\\u0000b"',
    "raw NUL": b'"a\x00b"',
    "bad UTF-8": b'"\xff\xfe\xed\xa0\x80"',
    "null": b"null",
    "true": b"true",
    "zero": b"0",
    "minus one": b"-1",
    "fraction": b"1.5",
    "beyond bigint": b"9223372036854775808",
    "thirty digits": b"1" + b"0" * 30,
    "five thousand digits": b"9" * 5_000,
    "1e400": b"1e400",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "empty": b'""',
    "list": b"[]",
    "list of words": b'["x", null, 1]',
    "object": b"{}",
    "object of NUL": b'{"a\\u0000": {"b": "\\u0000"}}',
    "sixty deep": b"[" * 60 + b"]" * 60,
    "a hundred deep": b"[" * 100 + b"]" * 100,
    "wide": b"[" + b"0," * 50_000 + b"0]",
}

# In place of an id or a slug in an address; as they stand in the URL.
IDS = [
    "0", "-1", "1.5", "9" * 18, "9223372036854775807", "9223372036854775808", "9" * 400, "1e3", "0x1", "%00", "1%00",
    "%ED%A0%80", "%FF%FE", "%E2%80%AE1", "%D9%A3", "%27", "%22", "%3Cscript%3E", "%5C", "%25", "null", "None", "true", "me",
    "..", "a" * 5_000, "%F0%9F%92%A9", "1%0A", "1%0D%0ASet-Cookie:%20x=1", "%2E%2E%2F", "{0}", "%20", "+1", "1_000",
]  # fmt: skip

# Whole bodies, with their content type.
BODIES = {
    "nothing": (b"", "application/json"),
    "words": (b"hello", "application/json"),
    "list": (b"[]", "application/json"),
    "string": (b'"x"', "application/json"),
    "number": (b"1" + b"0" * 30, "application/json"),
    "null": (b"null", "application/json"),
    "cut off": (b'{"text": "a', "application/json"),
    "bad UTF-8": (b'{"text": "\xc3\x28"}', "application/json"),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), "application/json; charset=utf-16"),
    "unknown charset": (b'{"text": "a"}', "application/json; charset=no-such"),
    "NUL": (b"\x00" * 100, "application/json"),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, "application/json"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "application/json"),
    "open lists": (b"[" * 100_000, "application/json"),
    "two keys": (b'{"text": "a", "text": {"text": []}}', "application/json"),
    "unknown fields": (
        b'{"id": 1, "pk": 2, "role": "administrator", "__class__": "x", "": ""}',
        "application/json",
    ),
    "ten megabytes": (b'{"text": "' + b"x" * (10 * MEGABYTE) + b'"}', "application/json"),
    "form": (b"text=%00&state=%FF", "application/x-www-form-urlencoded"),
    "form of bad UTF-8": (b"text=\xff\xfe&\x00=1", "application/x-www-form-urlencoded"),
    "many fields": (b"&".join(b"f%d=1" % n for n in range(2_000)), "application/x-www-form-urlencoded"),
    "ten megabyte form": (b"text=" + b"x" * (10 * MEGABYTE), "application/x-www-form-urlencoded"),
    "multipart without a boundary": (b"--x\r\n", "multipart/form-data"),
    "multipart of nothing": (b"", "multipart/form-data; boundary=x"),
    "multipart cut off": (
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\na',
        "multipart/form-data; boundary=x",
    ),
    "multipart with bad base64": (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="\x00.txt"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
    ),
    "multipart with a boundary of NUL": (b"--\x00\r\n", "multipart/form-data; boundary=\x00"),
    "no type": (b'{"text": "a"}', ""),
    "odd type": (b"<a/>", "text/xml; charset=\xff"),
}

HEADERS = {
    "If-Match": ["", "*", '"', "x" * 5_000, "\xff", 'W/"x"', ",,,", '"' + "0" * 32 + '"'],
    "If-None-Match": ["", "*", "\xff", "x" * 5_000, ",,,"],
    "Idempotency-Key": ["", " ", "\x00", "a\x00b", "k" * 256, "k" * 5_000, "\xff", "é", "\t", "\r\nx: y"],
    "Authorization": ["Bearer", "Bearer ", "Bearer \x00", "Bearer \xff", "Bearer " + "x" * 5_000, "Basic Zm9v", "\x00"],
    "Accept": ["", "*/*", "text/html", "application/xml;q=x", "\xff", "image/*,,;;"],
    "Accept-Language": ["\xff", "x" * 5_000, "de;q=9" * 100],
    "Cookie": [
        "sessionid=", "sessionid=x", 'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"', "sessionid=" + "x" * 5_000,
        "csrftoken=\xff; sessionid=\xff\xff\xff\xff\xff\xff\xff\xff", ";;;=;", 'messages="\\000"',
    ],
    "Host": ["evil.example", "\x00", "[::1", "127.0.0.1:99999999", ""],
    "Origin": ["null", "\xff", "http://[", "https://evil.example"],
    "Referer": ["\xff", "http://["],
    "X-CSRFToken": ["\xff", "x" * 5_000, ""],
    "X-Forwarded-For": ["\x00", "x" * 5_000],
    "Range": ["bytes=0-", "bytes=x-\xff"],
}  # fmt: skip
