"""Values and exceptions of real libraries: how each is made, and what of it must come back.

One row: its name (the library first), modules to import, an expression that makes the value or raises the exception,
and an expression over it, `v`, that says what it holds. The latter must be the same in another process.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """See the module's docstring. `look` is P0401 where the value must be refused by name."""

    name: str
    modules: str
    make: str
    look: str


_HTTPX = "httpx.Response(404, json={'a': [1]}, headers={'x': 'y'}, request=httpx.Request('GET', 'http://h/p'))"
_REQUESTS = "made.requests_response(503)"
_AWS = "botocore.exceptions"
_ERROR = "str(v), v.args, sorted(vars(v))"
_OPENAI = "v.status_code, v.message, v.body, v.response.json(), str(v.request.url)"

ROWS = [
    Row(
        "requests Response", "made", _REQUESTS, "v.status_code, v.json(), v.headers['X-A'], v.url, v.elapsed, v.reason"
    ),
    Row(
        "requests PreparedRequest",
        "requests",
        "requests.Request('POST', 'http://h', json=[1]).prepare()",
        "v.method, v.url, v.body, dict(v.headers)",
    ),
    Row("requests cookies", "requests", "requests.cookies.cookiejar_from_dict({'a': 'b'})", "v.get_dict()"),
    Row("requests headers", "requests", "requests.structures.CaseInsensitiveDict(A='b')", "v['a'], list(v.items())"),
    Row(
        "requests HTTPError",
        "made",
        "made.requests_response(503).raise_for_status()",
        "str(v), v.response.status_code, v.response.json()",
    ),
    Row(
        "requests ConnectionError",
        "requests",
        "requests.get('http://127.0.0.1:1')",
        "type(v).__mro__[1].__name__, v.request.url, 'refused' in str(v)",
    ),
    Row("requests InvalidURL", "requests", "requests.get('http://')", _ERROR),
    Row("requests JSONDecodeError", "made", "made.requests_response(200, b'{').json()", "str(v), v.pos, v.doc"),
    Row("httpx Response", "httpx", _HTTPX, "v.status_code, v.json(), v.headers['x'], v.url, v.text, v.is_error"),
    Row("httpx Request", "httpx", "httpx.Request('PUT', 'http://h/?a=1', content=b'x')", "v.method, v.url, v.content"),
    Row("httpx URL", "httpx", "httpx.URL('http://u:p@h:1/p?a=b#c')", "v, v.port, v.params"),
    Row("httpx Headers", "httpx", "httpx.Headers([('a', '1'), ('a', '2')])", "v.multi_items()"),
    Row(
        "httpx HTTPStatusError",
        "httpx",
        _HTTPX + ".raise_for_status()",
        "str(v), v.response.status_code, v.request.url, v.response.json()",
    ),
    Row("httpx ConnectError", "httpx", "httpx.get('http://127.0.0.1:1')", "str(v), v.request.method, v.request.url"),
    Row(
        "boto3 ClientError",
        _AWS,
        "made.throw(botocore.exceptions.ClientError({'Error': {'Code': 'NoSuchKey'}}, 'Get'))",
        "str(v), v.response, v.operation_name",
    ),
    Row(
        "boto3 EndpointConnectionError",
        _AWS,
        "made.throw(botocore.exceptions.EndpointConnectionError(endpoint_url='http://x'))",
        "str(v), v.kwargs",
    ),
    Row("boto3 NoCredentialsError", _AWS, "made.throw(botocore.exceptions.NoCredentialsError())", "str(v), v.fmt"),
    Row(
        "boto3 modeled exception",
        "boto3",
        "made.throw(made.s3().exceptions.NoSuchKey({'Error': {'Code': 'C'}}, 'Get'))",
        "type(v).__name__, str(v), v.response",
    ),
    Row(
        "boto3 StreamingBody",
        "botocore.response, io",
        "botocore.response.StreamingBody(io.BytesIO(b'body'), 4).read()",
        "v",
    ),
    Row("boto3 Config", "botocore.config", "botocore.config.Config(retries={'max_attempts': 3})", "v.retries"),
    Row(
        "boto3 Credentials",
        "botocore.credentials",
        "botocore.credentials.Credentials('a', 'b', 'c')",
        "v.access_key, v.secret_key, v.token",
    ),
    Row("slack SlackResponse", "made", "made.slack_response()", "v['ok'], v.status_code, v.data, v.headers"),
    Row(
        "slack SlackApiError",
        "slack_sdk.errors",
        "made.throw(slack_sdk.errors.SlackApiError('bad', made.slack_response()))",
        "str(v), v.response['ok'], v.response.data",
    ),
    Row("slack Block", "slack_sdk.models.blocks", "slack_sdk.models.blocks.SectionBlock(text='hi')", "v.to_dict()"),
    Row("openai ChatCompletion", "made", "made.chat_completion()", "v.model_dump(), v.choices[0].message.content"),
    Row(
        "openai RateLimitError",
        "openai, httpx",
        f"made.throw(openai.RateLimitError('slow', response={_HTTPX}, body=[1]))",
        _OPENAI,
    ),
    Row(
        "openai APIConnectionError",
        "openai, httpx",
        "made.throw(openai.APIConnectionError(request=httpx.Request('GET', 'http://h')))",
        "str(v), v.request.url",
    ),
    Row(
        "openai Embedding",
        "openai.types",
        "openai.types.Embedding(embedding=[0.1], index=0, object='embedding')",
        "v.model_dump()",
    ),
    Row("anthropic Message", "made", "made.anthropic_message()", "v.model_dump(), v.content[0].text, v.usage"),
    Row(
        "anthropic NotFoundError",
        "anthropic, httpx",
        f"made.throw(anthropic.NotFoundError('none', response={_HTTPX}, body={{}}))",
        _OPENAI,
    ),
    Row("sqlalchemy Row", "made", "made.rows()[0]", "tuple(v), v._mapping['name'], v.name"),
    Row("sqlalchemy rows", "made", "made.rows()", "[(row.id, row.name) for row in v]"),
    Row("sqlalchemy ORM object", "made", "made.user()", "v.id, v.name, v.tags, type(v).__name__"),
    Row("sqlalchemy ORM objects with relations", "made", "made.order()", "v.user.name, v.user.orders[0] is v"),
    Row("sqlalchemy URL", "sqlalchemy", "sqlalchemy.make_url('postgresql://u:p@h/d')", "v.password, str(v)"),
    Row(
        "sqlalchemy IntegrityError", "made", "made.duplicate()", "str(v), v.statement, v.params, type(v.orig).__name__"
    ),
    Row("sqlalchemy NoResultFound", "sqlalchemy.exc", "made.throw(sqlalchemy.exc.NoResultFound('none'))", _ERROR),
    Row("sqlalchemy select", "made", "made.statement()", "P0401"),
    Row("sqlalchemy Engine", "sqlalchemy", "sqlalchemy.create_engine('sqlite://')", "P0401"),
    Row(
        "psycopg OperationalError",
        "psycopg",
        "psycopg.connect('host=127.0.0.1 port=1')",
        "'refused' in str(v), v.sqlstate",
    ),
    Row(
        "psycopg UniqueViolation",
        "psycopg",
        "made.throw(psycopg.errors.UniqueViolation('twice'))",
        "str(v), v.sqlstate",
    ),
    Row("psycopg Jsonb", "psycopg.types.json", "psycopg.types.json.Jsonb({'a': 1})", "v.obj"),
    Row("psycopg Range", "psycopg.types.range", "psycopg.types.range.Range(1, 5)", "v, 4 in v"),
    Row("psycopg SQL", "psycopg.sql", "psycopg.sql.SQL('a {}').format(psycopg.sql.Identifier('b'))", "v.as_string()"),
    Row("pydantic model", "made", "made.model()", "v, v.model_fields_set, v.child, v._private"),
    Row("pydantic ValidationError", "made", "made.Model(id='x')", "str(v), v.errors(), v.error_count()"),
    Row("pydantic SecretStr", "pydantic", "pydantic.SecretStr('s')", "v.get_secret_value(), str(v)"),
    Row(
        "pydantic Url",
        "pydantic",
        "pydantic.TypeAdapter(pydantic.HttpUrl).validate_python('http://h/p')",
        "str(v), v.host",
    ),
    Row("attrs class", "made", "made.Attrs(1)", "v, v.b"),
    Row("attrs frozen slots", "made", "made.Frozen(1, (2,))", "v, hash(v)"),
    Row("attrs FrozenInstanceError", "made", "setattr(made.Frozen(1, 2), 'a', 3)", "str(v), v.args"),
    Row("numpy array", "numpy", "numpy.arange(6.0).reshape(2, 3)", "v.tolist(), v.dtype.str, v.shape"),
    Row(
        "numpy structured array",
        "numpy",
        "numpy.array([(1, 'a')], dtype=[('n', 'i4'), ('s', 'U3')])",
        "v.tolist(), v.dtype.names",
    ),
    Row("numpy scalar", "numpy", "numpy.float32(1.5)", "float(v), v.dtype.str"),
    Row("numpy datetime64", "numpy", "numpy.datetime64('2026-01-02T03:04')", "str(v)"),
    Row("numpy masked array", "numpy.ma", "numpy.ma.array([1, 2], mask=[0, 1])", "v.tolist()"),
    Row("numpy Generator", "numpy", "numpy.random.default_rng(7)", "v.integers(1000)"),
    Row("numpy LinAlgError", "numpy", "numpy.linalg.inv([[0, 0], [0, 0]])", _ERROR),
    Row(
        "pandas DataFrame",
        "pandas",
        "pandas.DataFrame({'a': [1, 2], 'b': ['x', None]}, index=['i', 'j'])",
        "v.to_dict(), list(v.dtypes.astype(str)), list(v.index)",
    ),
    Row("pandas Series", "pandas", "pandas.Series([1.5, 2], name='s')", "v.tolist(), v.name"),
    Row("pandas Timestamp", "pandas", "pandas.Timestamp('2026-01-02', tz='Europe/Berlin')", "v.isoformat(), str(v.tz)"),
    Row("pandas Categorical", "pandas", "pandas.Categorical(['a', 'b', 'a'])", "list(v), list(v.categories)"),
    Row("pandas MultiIndex", "pandas", "pandas.MultiIndex.from_product([[1, 2], ['a']])", "v.tolist()"),
    Row("pandas KeyError", "pandas", "pandas.DataFrame({'a': [1]})['b']", "v.args, type(v.__cause__).__name__"),
    Row("pandas ParserError", "pandas, io", "pandas.read_csv(io.StringIO('a\\n1,2,3\\n1'), engine='python')", "str(v)"),
    Row("pillow Image", "PIL.Image", "PIL.Image.new('RGB', (3, 2), 'red')", "v.size, v.mode, v.tobytes()"),
    Row("pillow UnidentifiedImageError", "PIL.Image, io", "PIL.Image.open(io.BytesIO(b'no'))", "'identify' in str(v)"),
    Row("lxml Element", "lxml.etree", "lxml.etree.fromstring('<a/>')", "P0401"),
    Row("lxml XMLSyntaxError", "lxml.etree", "lxml.etree.fromstring('<a>')", "str(v), v.lineno, v.offset, v.code"),
    Row(
        "bs4 soup", "bs4", "bs4.BeautifulSoup('<p>a<b>c</b></p>', 'html.parser')", "str(v), v.b.text, v.p.b.parent.name"
    ),
    Row("bs4 text", "bs4", "str(bs4.BeautifulSoup('<p>a</p>', 'html.parser').p)", "v"),
    Row("yaml document", "yaml", "yaml.safe_load('a: [1, 2026-01-02]')", "v"),
    Row("yaml ScannerError", "yaml", "yaml.safe_load('a: b: c')", "str(v), v.problem, v.problem_mark.line"),
    Row(
        "dateutil tz",
        "dateutil.tz, datetime",
        "datetime.datetime(2026, 7, 1, tzinfo=dateutil.tz.gettz('Europe/Paris'))",
        "v.isoformat()",
    ),
    Row("dateutil relativedelta", "dateutil.relativedelta", "dateutil.relativedelta.relativedelta(months=+1)", "v"),
    Row(
        "dateutil rrule",
        "dateutil.rrule, datetime",
        "dateutil.rrule.rrule(3, count=3, dtstart=datetime.datetime(2026, 1, 1))",
        "list(v)",
    ),
    Row("dateutil ParserError", "dateutil.parser", "dateutil.parser.parse('never')", _ERROR),
    Row("jinja2 Markup", "markupsafe", "markupsafe.Markup('<b>')", "v, v + '<'"),
    Row("jinja2 UndefinedError", "jinja2", "jinja2.Template('{{ a.b }}').render()", "str(v), v.message"),
    Row("jinja2 TemplateSyntaxError", "jinja2", "jinja2.Template('{% if %}')", "str(v), v.lineno"),
    Row("jinja2 Template", "jinja2", "jinja2.Template('{{ a }}')", "P0401"),
    Row(
        "redis ConnectionError",
        "redis",
        "redis.Redis(port=1).get('k')",
        "'refused' in str(v), type(v).__mro__[1].__name__",
    ),
    Row("redis ResponseError", "redis", "made.throw(redis.ResponseError('WRONGTYPE'))", _ERROR),
    Row("pymongo ObjectId", "bson", "bson.ObjectId('0123456789abcdef01234567')", "str(v)"),
    Row("pymongo Decimal128", "bson.decimal128", "bson.decimal128.Decimal128('1.5')", "v"),
    Row(
        "pymongo DuplicateKeyError",
        "pymongo.errors",
        "made.throw(pymongo.errors.DuplicateKeyError('E11000', 11000, {'k': 1}))",
        "str(v), v.code, v.details",
    ),
    Row(
        "pymongo InsertOneResult",
        "pymongo.results",
        "pymongo.results.InsertOneResult(7, True)",
        "v.inserted_id, v.acknowledged",
    ),
    Row("protobuf message", "made", "made.struct()", "str(v), v['a'], type(v).__name__"),
    Row(
        "protobuf Timestamp",
        "google.protobuf.timestamp_pb2",
        "google.protobuf.timestamp_pb2.Timestamp(seconds=5)",
        "v.seconds",
    ),
    Row("protobuf DecodeError", "made", "made.struct().FromString(b'\\xff')", "type(v).__name__, bool(str(v))"),
    Row(
        "aiohttp ClientResponseError",
        "made",
        "made.throw(made.aiohttp_error())",
        "v.status, v.message, v.history, v.headers",
    ),
    Row("aiohttp ClientConnectorError", "made", "made.aiohttp_connect()", "v.host, v.port, type(v.os_error).__name__"),
    Row("aiohttp FormData", "multidict", "multidict.CIMultiDict([('a', '1'), ('A', '2')])", "v.getall('a')"),
    Row("yarl URL", "yarl", "yarl.URL('http://h/p?a=1') / 'q'", "str(v), v.path"),
    Row("jwt claims", "jwt", "jwt.decode(jwt.encode({'a': 1}, 'k' * 32), 'k' * 32, ['HS256'])", "v"),
    Row("jwt InvalidSignatureError", "jwt", "jwt.decode(jwt.encode({'a': 1}, 'k' * 32), 'x' * 32, ['HS256'])", _ERROR),
    Row(
        "jwt ExpiredSignatureError", "jwt", "jwt.decode(jwt.encode({'exp': 1}, 'k' * 32), 'k' * 32, ['HS256'])", _ERROR
    ),
    Row(
        "google-auth Credentials",
        "google.oauth2.credentials",
        "google.oauth2.credentials.Credentials('t', refresh_token='r')",
        "v.token, v.refresh_token, v.valid",
    ),
    Row(
        "google-auth RefreshError",
        "google.auth.exceptions",
        "made.throw(google.auth.exceptions.RefreshError('no', {'error': 'x'}, retryable=True))",
        "str(v), v.retryable",
    ),
    Row(
        "google-auth DefaultCredentialsError",
        "google.auth.exceptions",
        "made.throw(google.auth.exceptions.DefaultCredentialsError('none'))",
        _ERROR,
    ),
    Row("tenacity RetryError", "made", "made.retried()", "type(v.__cause__).__name__, str(v.__cause__)"),
]
