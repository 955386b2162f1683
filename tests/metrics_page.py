"""A page of metrics, as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

Page = dict[str, float]
"""Samples by their name and labels, as Prometheus shows them."""


def read_page(text: str, *, prefix: str) -> Page:
    """Let Prometheus' own parser judge a page; `prefix` is left out of the names."""
    page: Page = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            page[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return {name.removeprefix(prefix): value for name, value in page.items()}
