"""One page of a listing, read in a tenth of the time that botocore takes for it."""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree as ET

EVENT: Final = "before-parse.*.ListObjectsV2"
"""What botocore emits when a page is there, before it is parsed. With the asterisk we hear of it before botocore's own
handler (`before-parse.s3.*`), which would parse the whole page only to see whether it is an error."""
_OK: Final = 200

Entry = dict[str, Any]


def parse_contents(response_dict: Entry, customized_response_dict: Entry, **_: object) -> None:
    """A handler for botocore: takes the objects out of a page, so that its own parser finds only the few things about it.

    Times stay the texts that they are. What is no page is left as it was, for botocore to complain of.
    """
    if response_dict["status_code"] != _OK:
        return
    try:
        page = ET.fromstring(response_dict["body"])  # noqa: S314 - as botocore itself does
        space = page.tag[: page.tag.rfind("}") + 1]
        contents = [_entry(item, space) for item in page.iterfind(f"{space}Contents")]
    except (ET.ParseError, KeyError, TypeError, ValueError):
        return
    rest = ET.Element(page.tag, page.attrib)
    rest.extend(item for item in page if item.tag != f"{space}Contents")
    response_dict["body"] = ET.tostring(rest)
    customized_response_dict["Contents"] = contents


def _entry(item: ET.Element, space: str) -> Entry:
    texts = {field.tag: field.text or "" for field in item}
    return {
        "Key": texts[f"{space}Key"],
        "Size": int(texts[f"{space}Size"]),
        "ETag": texts.get(f"{space}ETag", ""),
        "LastModified": texts.get(f"{space}LastModified", ""),
    }
