"""All of the API, one class for each kind of thing."""

from __future__ import annotations

from .calls import CallsApi
from .conversations import ConversationsApi
from .facts import FactsApi
from .feedback import FeedbackApi
from .flush import FlushApi
from .health import HealthApi
from .metrics import MetricsApi
from .notes import NotesApi
from .query import QueryApi
from .reports import ReportsApi
from .stream import StreamApi
from .tags import TagsApi
from .views import ViewsApi

API = (
    CallsApi,
    StreamApi,
    ConversationsApi,
    ReportsApi,
    QueryApi,
    FeedbackApi,
    NotesApi,
    TagsApi,
    ViewsApi,
    FactsApi,
    FlushApi,
    HealthApi,
    MetricsApi,
)
