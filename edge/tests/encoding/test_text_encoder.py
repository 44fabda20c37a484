"""Sentences to embeddings: what is read, what is left out, and what a robot refuses."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import edit_manifest
from tiny_text import CONTEXT, END, START, WORDS, closed_text, golden_text, text_table, write_with_text

from rapport_edge.bundle import Bundle, Policy, load_bundle, read_bundle
from rapport_edge.bundle.golden import check_golden, golden_case
from rapport_edge.bundle.manifest import OpenText
from rapport_edge.bundle.vocabulary import ALLOWED_WORDS, ATTRIBUTE_WORDS, attributes_in, split_words
from rapport_edge.commands.inspect import command
from rapport_edge.encoding import SentenceError, TextEncoder, create_text_encoder
from rapport_edge.encoding.tokens import ClosedTokenizer
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.errors import BundleError

CPU = EngineSettings(name="onnxruntime-cpu")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_with_text(tmp_path / "text")


@pytest.fixture
def encoder(bundle: Bundle) -> TextEncoder:
    return create_text_encoder(load_bundle(bundle.path), CPU)


def test_a_sentence_becomes_tokens_and_a_unit_vector(encoder: TextEncoder) -> None:
    assert encoder.tokens("a woman of 60").tolist() == [START, 1, 2, 5, 6, 7, END] + [0] * (CONTEXT - 7)
    assert encoder.tokens("TWENTIES").tolist()[:4] == [START, 8, 9, END]
    found = encoder.encode("a woman")
    expected = text_table()[[START, 1, 2, END]].sum(axis=0)
    np.testing.assert_allclose(found.embedding, expected / np.linalg.norm(expected), atol=1e-6)
    assert (found.known, found.unknown) == (("a", "woman"), ())


def test_unknown_words_are_left_out_and_named(encoder: TextEncoder) -> None:
    plain, odd = encoder.encode("a woman"), encoder.encode("A happy woman, Zoë's!")
    np.testing.assert_array_equal(plain.embedding, odd.embedding)
    assert odd.unknown == ("happy", "zoë", "'s")


def test_refuses_what_it_cannot_read(encoder: TextEncoder) -> None:
    with pytest.raises(SentenceError, match="knows no word of the sentence; not known: who, laughs"):
        encoder.encode("who laughs?")
    with pytest.raises(SentenceError, match=r"knows no word of the sentence$"):
        encoder.encode(" ... ")
    with pytest.raises(SentenceError, match="has 13 tokens, start and end included; the text tower takes 12"):
        encoder.encode("man " * 11)
    assert encoder.tokens("man " * 10)[-1] == END


@given(st.text())
def test_any_text_is_cut_into_words_without_losing_a_letter(text: str) -> None:
    found = ClosedTokenizer(WORDS)(text)
    assert [s for w in split_words(text) for s in w] == [s for s in text.lower() if not s.isspace()]
    assert set(found.known) <= set(WORDS)
    assert not set(found.unknown) & set(WORDS)


def test_a_tokenizer_that_reads_the_golden_sentences_differently_is_refused(tmp_path: Path) -> None:
    swapped = {**WORDS, "man": WORDS["woman"], "woman": WORDS["man"]}
    bundle = write_with_text(tmp_path / "b", closed_text(words=swapped))
    with pytest.raises(BundleError, match="does not read the golden sentences"):
        create_text_encoder(bundle, CPU)


def test_a_bundle_without_text_tower_has_no_text_encoder(tiny_bundle: Bundle) -> None:
    assert tiny_bundle.text is None
    with pytest.raises(BundleError, match="has no text tower"):
        create_text_encoder(tiny_bundle, CPU)


def test_the_golden_sentences_verify_an_engine(bundle: Bundle) -> None:
    model = bundle.manifest.models[1]
    case = golden_case(bundle, model)
    assert case is not None
    assert check_golden(case, create_engine(bundle.path / model.file, CPU)) < 1e-6
    np.testing.assert_array_equal(case.inputs["tokens"], golden_text()["input:tokens"])
    shown = CliRunner().invoke(command, ["--bundle", str(bundle.path)], catch_exceptions=False)
    assert "text      8 words, sentences of at most 10 tokens" in shown.output


def test_words_about_gender_and_age_need_no_policy_any_other_does(bundle: Bundle, tmp_path: Path) -> None:
    assert read_bundle(bundle.path).sensitive_parts == ()
    for word in ("muslim", "black", "gay", "smiling"):
        more = write_with_text(tmp_path / word, closed_text(words={**WORDS, word: (2,)}))
        assert more.sensitive_parts == ("open-text",)
        with pytest.raises(BundleError, match=r"finds faces by any word \(open-text\).*Article 5"):
            load_bundle(more.path)


def test_an_open_tower_runs_with_a_policy_only(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="an open text tower needs rapport-edge[open-text]")
    pytest.importorskip("ftfy", reason="an open text tower needs rapport-edge[open-text]")
    text = OpenText(
        model="text.onnx", context_length=CONTEXT, start=START, end=END, sentences=("x",), tokenizer="tokenizer.json"
    )
    bundle = write_with_text(tmp_path / "open", text, **{"tokenizer.json": b"{}"})
    with pytest.raises(BundleError, match="open-text"):
        load_bundle(bundle.path)
    policy = Policy(
        allow=("open-text",),
        reason="a closed laboratory, approved by the ethics board",
        operator="A. Person",
        date=datetime.date.today().isoformat(),
        bundle=bundle.manifest_digest,
    )
    with pytest.raises(BundleError, match=r"tokenizer\.json is not a tokenizer"):
        create_text_encoder(load_bundle(bundle.path, policy), CPU)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "encoder.onnx"}, "not one of the models after the first"),
        ({"start": 11}, "two tokens other than 0"),
        ({"words": {"Man": [3]}}, "no single words in lower case: 'Man'"),
        ({"words": {"old man": [3]}}, "no single words in lower case: 'old man'"),
        ({"words": {"man": [11]}}, "a word has the token of start or end"),
        ({"words": {}}, "words"),
        ({"context_length": 2}, "context_length"),
        ({"tokenizer": "tokenizer.json"}, "unknown field `tokenizer`"),
        ({"vocabulary": "ajar"}, "ajar"),
    ],
)
def test_refuses_a_text_tower_that_contradicts_itself(bundle: Bundle, changes: dict[str, object], reason: str) -> None:
    text = msgspec.json.decode((bundle.path / "bundle.json").read_bytes())["text"]
    edit_manifest(bundle.path, text={**text, **changes})
    with pytest.raises(BundleError, match=reason):
        read_bundle(bundle.path)


def test_a_text_tower_needs_the_second_version_of_the_format(bundle: Bundle) -> None:
    edit_manifest(bundle.path, format_version=1)
    with pytest.raises(BundleError, match="text needs format version 2"):
        read_bundle(bundle.path)


def test_every_allowed_word_is_one_word_and_the_plain_ones_say_nothing() -> None:
    assert all(split_words(word) == [word] for word in ALLOWED_WORDS)
    assert attributes_in(ALLOWED_WORDS.difference(*ATTRIBUTE_WORDS.values())) == ()
    assert attributes_in(["a", "boy"]) == ("age", "gender")
    assert attributes_in(["man"]) == ("gender",)
    assert attributes_in(["middle", "eastern"]) == ()
