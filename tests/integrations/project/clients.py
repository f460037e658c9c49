"""Each handler makes two calls by a client, with something recorded between them, and says what came back."""

import json
import random
from email.message import EmailMessage

import perdure
from perdure.integrations import (
    anthropic_client,
    boto3_client,
    confluence_client,
    connection,
    discord_client,
    github_client,
    gmail_client,
    google_calendar_client,
    google_sheets_client,
    gspread_client,
    http_client,
    jira_client,
    openai_client,
    postgres_client,
    redis_client,
    slack_client,
    smtp_client,
)


def http(event):
    client = http_client("api")
    made = client.post("/things", json={"name": "a"}).json()["id"]
    random.random()
    return [made, client.get("/things/1", params={"full": "yes"}).json()["name"]]


def slack(event):
    client = slack_client("team")
    sent = client.chat_postMessage(channel="C1", text="hello")["ts"]
    random.random()
    return [sent, [channel["name"] for channel in client.conversations_list()["channels"]]]


def github(event):
    client = github_client("hub")
    repo = client.get_repo("octo/cat")
    random.random()
    issue = repo.create_issue(title="It broke")
    return [repo.full_name, issue.number]


def google_sheets(event):
    values = google_sheets_client("sheets").spreadsheets().values()
    found = values.get(spreadsheetId="s1", range="A1:B2").execute()["values"]
    random.random()
    body = {"values": [["x"]]}
    done = values.update(spreadsheetId="s1", range="A1", valueInputOption="RAW", body=body).execute()
    return [found, done["updatedCells"]]


def gspread(event):
    sheet = gspread_client("book").open_by_key("s1").get_worksheet(0)
    random.random()
    return [sheet.title, sheet.get_all_values()]


def gmail(event):
    client = gmail_client("mail")
    ids = [each["id"] for each in client.users().messages().list(userId="me").execute()["messages"]]
    random.random()
    return [ids, client.users().messages().send(userId="me", body={"raw": "aGk="}).execute()["id"]]


def google_calendar(event):
    client = google_calendar_client("cal")
    names = [each["summary"] for each in client.events().list(calendarId="primary").execute()["items"]]
    random.random()
    return [names, client.events().insert(calendarId="primary", body={"summary": "b"}).execute()["id"]]


def jira(event):
    client = jira_client("tracker")
    made = client.create_issue(fields={"summary": "It broke", "project": {"key": "P"}})["key"]
    random.random()
    return [made, client.issue(made)["fields"]["summary"]]


def confluence(event):
    client = confluence_client("wiki")
    made = client.create_content({"type": "page", "title": "Notes", "space": {"key": "S"}})["id"]
    random.random()
    return [made, client.get_content(made)["title"]]


def discord(event):
    client = discord_client("bot")
    sent = client.post("/channels/1/messages", json={"content": "hi"}).json()["id"]
    random.random()
    return [sent, client.get("/users/@me").json()["username"]]


def openai(event):
    client = openai_client("gpt")
    messages = [{"role": "user", "content": "hi"}]
    first = client.chat.completions.create(model="m", messages=messages).choices[0].message.content
    random.random()
    return [first, [model.id for model in client.models.list()]]


def anthropic(event):
    client = anthropic_client("claude")
    messages = [{"role": "user", "content": "hi"}]
    first = client.messages.create(model="m", max_tokens=5, messages=messages).content[0].text
    random.random()
    return [first, client.messages.create(model="m", max_tokens=5, messages=messages).usage.output_tokens]


def aws(event):
    client = boto3_client("cloud", "s3", "eu-central-1")
    client.put_object(Bucket="b", Key="k", Body=b"data")
    random.random()
    return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


def postgres(event):
    with postgres_client("db", autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS seen (n int)")
        db.execute("INSERT INTO seen VALUES (1)")
        random.random()
        return [row[0] for row in db.execute("SELECT count(*) FROM seen").fetchall()]


def postgres_open(event):
    """The kill comes in a transaction: what was done in it is undone, and doing it again unasked could be wrong."""
    db = postgres_client("db")
    db.execute("CREATE TABLE IF NOT EXISTS opened (n int)")
    db.commit()
    db.execute("INSERT INTO opened VALUES (1)")
    random.random()
    try:
        db.execute("SELECT 1")
    except perdure.HandleLost as lost:
        return "rolled back" in str(lost)


def postgres_committed(event):
    db = postgres_client("db")
    db.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
    db.execute("INSERT INTO kept VALUES (1)")
    db.commit()
    random.random()
    return db.execute("SELECT count(*) FROM kept").fetchone()[0]


def redis(event):
    client = redis_client("cache", decode_responses=True)
    count = client.incr("n")
    random.random()
    return [count, client.incr("n"), client.get("n")]


def smtp(event):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Hello"
    message.set_content("Hello")
    client = smtp_client("post")
    client.send_message(message)
    random.random()
    client.send_message(message, to_addrs=["c@example.com"])
    client.quit()
    return "sent"


def generic(event):
    return json.loads(connection("other").get("token"))


def unset(event):
    try:
        slack_client("nobody")
    except Exception as error:
        return [type(error).__name__, error.code, str(error), error.help]
