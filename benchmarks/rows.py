"""Rows of results, for tables, plots and JSON."""

from collections.abc import Mapping
from typing import Any

ReportRow = Mapping[str, Any]
DataRow = dict[str, Any]
