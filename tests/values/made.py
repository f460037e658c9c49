"""Makes the values of the table that one expression does not. Runs in `.venv-libraries` only; imports what it uses."""

from __future__ import annotations

import asyncio
import datetime as dt


def throw(error):
    """`raise` as an expression."""
    raise error


def requests_response(status, body=b'{"a": [1]}'):
    import requests

    response = requests.Response()
    response.status_code, response._content, response.url = status, body, "http://h/p"
    response.headers["X-A"], response.reason, response.elapsed = "b", "Busy", dt.timedelta(seconds=1)
    response.request = requests.Request("GET", "http://h/p").prepare()
    return response


def s3():
    import boto3

    return boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


def slack_response():
    from slack_sdk.web import SlackResponse

    return SlackResponse(
        client=None, http_verb="POST", api_url="http://h", req_args={}, data={"ok": False}, headers={}, status_code=200
    )


def chat_completion():
    from openai.types.chat import ChatCompletion

    message = {"role": "assistant", "content": "hi"}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return ChatCompletion.model_validate(
        {"id": "c", "choices": choices, "created": 1, "model": "m", "object": "chat.completion"}
    )


def anthropic_message():
    from anthropic.types import Message

    return Message.model_validate(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "x",
            "content": [{"type": "text", "text": "hi"}],
            "usage": {"input_tokens": 1, "output_tokens": 2},
        }
    )


def __getattr__(name):
    """Classes that need their library to be defined, where a pickle finds them by name."""
    define = {"Model": _pydantic, "Child": _pydantic, "Attrs": _attrs, "Frozen": _attrs, "User": _orm, "Order": _orm}
    if name not in define:
        raise AttributeError(name)
    globals().update(define[name]())
    return globals()[name]


def _named(**classes):
    for name, cls in classes.items():
        cls.__qualname__ = name
    return classes


def _pydantic():
    import pydantic

    class Child(pydantic.BaseModel):
        at: dt.datetime

    class Model(pydantic.BaseModel):
        id: int
        names: set[str] = set()
        child: Child | None = None
        _private: int = pydantic.PrivateAttr(default=3)

    Model.model_rebuild(_types_namespace={"Child": Child, "dt": dt})
    return _named(Child=Child, Model=Model)


def model():
    from made import Child, Model

    made = Model(id=1, child=Child(at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC)))
    made._private = 4
    return made


def _attrs():
    import attrs

    @attrs.define(slots=False)
    class Attrs:
        a: int
        b: list = attrs.Factory(lambda: [1])

    @attrs.frozen
    class Frozen:
        a: int
        b: tuple

    return _named(Attrs=Attrs, Frozen=Frozen)


def _orm():
    from sqlalchemy import JSON, ForeignKey
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "user"
        id = mapped_column(__import__("sqlalchemy").Integer, primary_key=True)
        name = mapped_column(__import__("sqlalchemy").String, unique=True)
        tags = mapped_column(JSON)
        orders = relationship("Order", back_populates="user")

    class Order(Base):
        __tablename__ = "order"
        id = mapped_column(__import__("sqlalchemy").Integer, primary_key=True)
        user_id = mapped_column(ForeignKey("user.id"))
        user = relationship("User", back_populates="orders")

    return _named(Base=Base, User=User, Order=Order) | {"Mapped": Mapped}


def _session():
    from made import Order, User
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    engine = create_engine("sqlite://")
    User.metadata.create_all(engine)
    session = Session(engine)
    session.add(Order(user=User(name="ada", tags=["x"])))
    session.commit()
    return session


def user():
    from made import User

    found = _session().get(User, 1)
    assert found.tags
    return found


def order():
    from made import Order

    found = _session().get(Order, 1)
    assert found.user.orders == [found]
    return found


def statement():
    from made import User
    from sqlalchemy import select

    return select(User.id, User.name).where(User.id > 0)


def rows():
    return _session().execute(statement()).all()


def duplicate():
    from made import User

    session = _session()
    session.add(User(name="ada"))
    session.commit()


def struct():
    from google.protobuf.struct_pb2 import Struct

    made = Struct()
    made.update({"a": 1, "b": [True]})
    return made


def aiohttp_error():
    import aiohttp
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    about = aiohttp.RequestInfo(URL("http://h/p"), "GET", CIMultiDictProxy(CIMultiDict()), URL("http://h/p"))
    return aiohttp.ClientResponseError(about, (), status=503, message="Busy")


def aiohttp_connect():
    import aiohttp

    async def get():
        async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:1"):
            pass

    asyncio.run(get())


def retried():
    import tenacity

    tenacity.Retrying(stop=tenacity.stop_after_attempt(2))(lambda: 1 / 0)
