#!/usr/bin/env python3
"""Scrapes a page of metrics as Prometheus does, and compares samples.

    scrape.py URL [SAMPLE==VALUE | SAMPLE>VALUE]…

SAMPLE is a name with labels, `name{label="value"}`: all samples that have these labels, added up. The
page is read by the parser of Prometheus' own client library. What is not /metrics must not be found.
"""

import re
import sys
import urllib.error
import urllib.request

from prometheus_client import parser

EXPECTED = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})?(?P<how>==|>)(?P<value>[\d.]+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def scrape(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        kind = answer.headers["Content-Type"]
        assert kind == "text/plain; version=0.0.4; charset=utf-8", f"content type {kind}"
        families = list(parser.text_string_to_metric_families(answer.read().decode()))
    names = [family.name for family in families]
    assert names and len(names) == len(set(names)), f"names are missing or twice: {names}"
    for family in families:
        assert family.documentation, f"no help for {family.name}"
        assert family.type in ("counter", "gauge"), f"type of {family.name}: {family.type}"
        labels = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(labels) == len(set(labels)), f"a sample of {family.name} stands twice"
    return [sample for family in families for sample in family.samples]


def check(expected, samples):
    parts = EXPECTED.fullmatch(expected)
    assert parts, f"no expectation: {expected}"
    labels = LABEL.findall(parts["labels"] or "")
    found = [s.value for s in samples if s.name == parts["name"] and all(s.labels.get(k) == v for k, v in labels)]
    assert found, f"no sample for {expected}"
    value, limit = sum(found), float(parts["value"])
    assert value == limit if parts["how"] == "==" else value > limit, f"{expected}, but it is {value}"


def main():
    url, expected = sys.argv[1], sys.argv[2:]
    samples = scrape(url)
    for one in expected:
        check(one, samples)
    try:
        urllib.request.urlopen(url.removesuffix("metrics"), timeout=10)
    except urllib.error.HTTPError as error:
        assert error.code == 404, f"status {error.code} instead of 404"
    else:
        raise AssertionError("something else than /metrics was found")
    print(f"{len(samples)} samples, {len(expected)} compared")


main()
