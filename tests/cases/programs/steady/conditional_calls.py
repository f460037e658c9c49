"""Which calls are made depends on results of earlier ones; a pagination loop."""

from web import get


def pages(url):
    cursor = "page-1"
    while cursor:
        page = get(f"{url}/{cursor}")
        yield page
        number = int(page.rpartition("-")[2])
        cursor = f"page-{number + 1}" if number < 4 else None


def main(event):
    url = event["url"]
    found = [page for page in pages(url) if page.endswith(("2", "4")) and get(f"{url}/check-{page}")]
    return {page: get(f"{url}/{page}/detail") for page in found}


CASE = {
    "result": {"page-2": "detail", "page-4": "detail"},
    "calls": ["activity web.get"] * 8,
    "effects": 8,
}
