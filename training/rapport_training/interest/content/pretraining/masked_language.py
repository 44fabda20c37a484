"""Downstream data adaptation of F_L: masked language modelling, or for GPT-2 the next token.

Which tokens are hidden follows the rule of transformers' `DataCollatorForLanguageModeling`, BERT's: of the chosen share
80 % become [MASK], 10 % another token, 10 % stay.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, DataCollatorForLanguageModeling

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.language import LanguageTower, Titles

#: The label of a token that is not predicted.
_IGNORED = -100


class HiddenTokens(NamedTuple):
    """What the tower sees and what it shall say.

    Attributes:
        titles: with hidden tokens.
        labels: (n, L) int64, the true token where one is predicted, else -100.
    """

    titles: Titles
    labels: Tensor

    def rows(self, rows: Tensor) -> HiddenTokens:
        """Some of them."""
        return HiddenTokens(Titles(*(part[rows] for part in self.titles)), self.labels[rows])

    @property
    def predicted(self) -> int:
        """How many tokens are predicted."""
        return int((self.labels != _IGNORED).sum())


class MaskedLanguage(nn.Module):
    """The language tower with transformers' head for its kind.

    Attributes:
        model: shares the tower's weights; BERT's head ties its classifier to the embeddings.
    """

    def __init__(self, tower: LanguageTower, share: float) -> None:
        """Adds a head with random weights.

        Args:
            tower: F_L.
            share: of the tokens that are hidden; a causal model predicts all.

        Raises:
            SettingsError: if transformers has no such head for the tower, or the tokenizer no [MASK].
        """
        super().__init__()
        self.causal, self._tokenizer = tower.causal, tower.tokenizer
        auto = AutoModelForCausalLM if tower.causal else AutoModelForMaskedLM
        try:
            self.model = auto.from_config(tower.model.config)
            self._collator = DataCollatorForLanguageModeling(
                tower.tokenizer, mlm=not tower.causal, mlm_probability=None if tower.causal else share
            )
        except ValueError as error:
            raise SettingsError(
                f"no language modelling for {tower.model.config.model_type}: {error}; set masked_language to 0"
            ) from error
        setattr(self.model, self.model.base_model_prefix, tower.model)
        self.model.tie_weights()

    def hide(self, titles: Titles, seed: int) -> HiddenTokens:
        """Hides tokens; equal seeds hide the same."""
        if self.causal:
            labels = titles.ids.masked_fill(titles.mask == 0, _IGNORED)
            return HiddenTokens(titles, torch.cat([labels[:, 1:], labels.new_full((len(labels), 1), _IGNORED)], dim=1))
        special = torch.isin(titles.ids, torch.tensor(self._tokenizer.all_special_ids))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            ids, labels = self._collator.torch_mask_tokens(titles.ids.clone(), special_tokens_mask=special)
        return HiddenTokens(Titles(ids, titles.mask), labels)

    def forward(self, hidden: HiddenTokens) -> Tensor:
        """The sum over the predicted tokens of their cross-entropy, in nats."""
        titles, labels = hidden
        logits = self.model(input_ids=titles.ids, attention_mask=titles.mask).logits
        chosen = labels != _IGNORED
        return F.cross_entropy(logits[chosen].float(), labels[chosen], reduction="sum")
