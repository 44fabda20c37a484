"""Tables 2 to 6 of the paper as data, column "ALL" of Table 2.

Source: B. Yan et al., "MIM: Multi-modal Content Interest Modeling Paradigm for User Behavior Modeling", 2025, measured
on Taobao's traffic, which is not public.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SOURCE: Final = (
    "Yan et al., MIM: Multi-modal Content Interest Modeling Paradigm for User Behavior Modeling, on Taobao's own log"
)

BASE: Final = "Base"
MIM: Final = "Base+MIM"

_MODELS: Final[Mapping[str, tuple[float, float]]] = {
    "Avg Pooling": (0.6965, 0.7030),
    "DIN": (0.7004, 0.7047),
    "DIEN": (0.7010, 0.7055),
    "BST": (0.6995, 0.7049),
    "TWIN": (0.7028, 0.7051),
    "SIM": (0.7024, 0.7062),
}

#: AUC by (table, label of the row).
AUC: Final[Mapping[tuple[str, str], float]] = {
    **{("2", f"{model}, {BASE}"): values[0] for model, values in _MODELS.items()},
    **{("2", f"{model}, {MIM}"): values[1] for model, values in _MODELS.items()},
    ("3", BASE): 0.7024,
    ("3", "Plain FoM"): 0.7030,
    ("3", "+DDA"): 0.7034,
    ("3", "+DDA+DMA"): 0.7040,
    ("3", "+DDA+DMA+C-SFT (MIM)"): 0.7062,
    ("4", BASE): 0.7024,
    ("4", "v1: CE, category"): 0.7043,
    ("4", "v2: CE, click"): 0.7053,
    ("4", "v3: CE, purchase"): 0.7059,
    ("4", "v4: CL, click"): 0.7055,
    ("4", "v5: CL, purchase"): 0.7062,
    ("5", "MIM"): 0.7062,
    ("5", "w/o TFN"): 0.7058,
    ("5", "w/o ST-NSG"): 0.7056,
    ("5", "w/o multi-level InfoNCE"): 0.7052,
    ("5", "w/o C-SFT"): 0.7040,
    ("5", "w/o ID interest module"): 0.7057,
    ("5", "w/o content interest module"): 0.7052,
    ("5", "w/o fusion interest module"): 0.7054,
}

#: (GFLOPs in training, in inference, memory in training, in inference, both in GB) per sample, by version: Table 6.
#: The paper has an inference of Base cost more than its training (0.31 against 0.114), and does not say why.
COST: Final[Mapping[str, tuple[float, float, float, float]]] = {
    "Base": (0.114, 0.31, 1.1, 0.68),
    "Base+MIM (w/o RC)": (240.24, 240.11, 10.15, 9.85),
    "Base+MIM (E2E)": (720.38, 240.11, 30.15, 9.85),
    "Base+MIM": (0.182, 0.43, 1.11, 0.81),
}

#: What the paper prints that cannot be meant, by table.
REMARKS: Final[Mapping[str, str]] = {
    "3": "The paper prints +.0060 for Plain FoM; its AUCs give +.0006.",
    "6": "The paper's inference of Base costs more than its training; it does not say why.",
}
