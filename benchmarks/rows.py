"""Rows of results: what tables, plots and JSON are made of."""

from collections.abc import Mapping
from typing import Any

ReportRow = Mapping[str, Any]
DataRow = dict[str, Any]
