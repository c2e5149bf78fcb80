"""Shapes of lines: how likely a few lines are of a language, without their indentation.

Languages that look alike are one family at first (C and C++, CSS and its dialects, JavaScript and TypeScript), and a
few signs tell them apart.
"""

import re
from collections.abc import Sequence

MIN_SIGNS = 0.02  # of the lines, to call a text C++, TypeScript or JSX

_FAMILIES = {
    "javascriptreact": "javascript", "typescript": "javascript", "typescriptreact": "javascript", "cpp": "c",
    "scss": "css", "less": "css", "jsonc": "json",
}  # fmt: skip
_IN_ANY_CASE = frozenset({"sql", "html"})

# Shapes that are typical of a family.
_TYPICAL_SHAPES = {
    "python": (
        r"(?:async )?def \w+\(", r"from [\w.]+ import ", r"elif .*:$", r"except\b.*:$", r"class \w+(?:\(.*\))?:$",
        r"if __name__", r"(?:for|while|if|with|async with|async for) .*:$", r"else:$", r"try:$", r"finally:$",
        r'(?:[rfb]?""")', r"\w+: [\w.\[\], |]+ = ",
    ),
    "javascript": (
        r"(?:export )?(?:const|let|var) [\w${\[].{0,80}=", r"(?:export )?(?:default )?(?:async )?function\*? ?\w*\(",
        r"module\.exports", r"""import .{1,100} from ['"]""", r".*=> ?[({]", r"document\.", r"console\.\w+\(",
        r"\}\);?$", r".*[!=]==", r"""\} from ['"]""", r"export (?:type|interface|enum|class|abstract|\{|\*)",
        r"interface \w+", r"type \w+.{0,40} =", r"\w+\??: [\w\[\]<>| ]+[;,]$",
    ),
    "go": (
        r"package \w+$", r"func (?:\(\w+ \*?\w+(?:\[.*\])?\) )?\w*\(", r".* := ", r"import \($",
        r"type \w+ (?:struct|interface|func)\b", r".*\berr != nil", r"defer ", r"go func",
        r"(?:for|switch|select|if) [^(]*\{$", r"var \w+ [\w\[\]*.]+", r"\t*return .*, (?:nil|err)$",
    ),
    "rust": (
        r"(?:pub(?:\(\w+\))? )?(?:async |const |unsafe )*fn \w+", r"let (?:mut )?\w+(?:: .{1,60})? = ",
        r"use [\w:]+::", r"impl\b.*\{$", r"(?:pub(?:\(\w+\))? )?(?:struct|enum|mod|trait) \w+", r"#!?\[",
        r"match .* \{$", r"///", r"//!", r"if let ", r"Ok\(", r"Some\(", r".*\.unwrap\(\)", r".*\?;$",
        r".*&(?:mut|self)\b", r"[\w:]+!\(", r"pub \w+: ",
    ),
    "java": (
        r"(?:(?:public|private|protected|static|final|abstract|synchronized) )+[\w<>\[\],.? ]+ [a-z]\w*(?:\(|;| =)",
        r"import (?:static )?[a-z]\w*(?:\.\w+)+(?:\.\*)?;$", r"package [a-z][\w.]*;$", r"@Override", r"@Test",
        r"System\.(?:out|err)",
        r"(?:(?:public|private|protected|static|final|abstract) )*(?:class|interface|enum|@interface) \w+.*\{$",
        r"\} catch \(\w+ \w+\)", r".*\bthrows \w+", r"[A-Z]\w*(?:<.*>)? [a-z]\w* = new ",
    ),
    "csharp": (
        r"using (?:static )?[A-Z][\w.]*;$", r"namespace [A-Z][\w.]*(?:;|$| \{)", r".*\{ get; ", r".*\{ get; set; \}",
        r"\[[A-Z]\w+(?:\(.*\))?\]$",
        r"(?:(?:public|private|protected|internal|static|async|override|virtual|readonly|sealed|partial"
        r"|abstract) )+(?:[\w<>\[\],?. ]+ [A-Z]\w*(?:\(|$| =>| \{)|(?:class|record|struct|interface|enum) [A-Z])",
        r"Console\.", r"foreach \(var ", r"/// <", r"var \w+ = (?:new|await)", r"await [A-Z_]",
        r"#(?:region|endregion)",
    ),
    "kotlin": (
        r"(?:(?:private|override|internal|suspend|inline|open|protected|public|operator|infix) )*fun [\w<.`]",
        r"(?:(?:private|override|internal|const|lateinit|protected|public|open) )*va[lr] \w+",
        r"(?:data|sealed|open|enum|annotation) class ", r"companion object", r"when ?\(.*\{$", r"when \{$",
        r"import [a-z]\w*(?:\.\w+)+$", r"package [a-z]\w*(?:\.\w+)+$", r".*\?\.let", r"object \w+",
    ),
    "php": (
        r"<\?(?:php|=)", r"\$\w+(?: ?[.+]?= |->|\[)", r".*\$this->",
        r"(?:(?:public|private|protected|static|final|abstract) )*function \w+\(", r"use [A-Z]\w*(?:\\\w+)+",
        r"namespace [A-Z][\w\\]*;", r"echo ", r".*\$\w+.*[;,{)]$", r"return \$", r"const [A-Z_]+ = ",
    ),
    "ruby": (
        r"def (?:self\.)?\w+[?!=]?(?:\(.*\))?$", r"end$", r"""require(?:_relative)? ['"]""", r"module [A-Z][\w:]*$",
        r"class [A-Z][\w:]*(?: < [\w:]+)?$", r"attr_(?:reader|accessor|writer) ", r".* do(?: \|.*\|)?$", r"puts ",
        r"unless ", r"elsif ", r"@\w+ (?:\|\|)?= ", r"private$", r".*\{ ?\|\w+", r"""describe ['"]""",
    ),
    "shellscript": (
        r"if \[\[? .*\]", r".*; then$", r"then$", r"fi$", r"done\b", r"esac$",
        r"(?:export |local |readonly |declare )+-?\w+", r"case .* in$", r"for \w+ in .*", r"while .*; do$",
        r"\w[\w-]*\(\) ?\{$", r"set -[euxo]", r"source ", r"""[A-Za-z_]+=(?:"?\$|["'(`]|\S*$)""", r"echo ",
        r"""printf ['"]""", r"\[\[? .*\]\]? (?:&&|\|\|)", r".*;;$",
        r'(?:mkdir|rm|cp|mv|cd|sudo|apt-get|curl|grep|sed|awk|chmod|exit|test|shift) ?(?:-|"|\$|\d|/|$)',
    ),
    "c": (
        r'#\s?(?:include [<"]|define \w|ifn?def |if |endif|pragma |undef |else)',
        r"(?:static |inline |extern |const |unsigned |virtual |constexpr )*(?:int|void|char|double|float|size_t"
        r"|bool|auto|long|u?int\d+_t|struct \w+|std::[\w:<>, ]+)[ *&]+\*?\w+(?:\(|;| =|\[|,)",
        r"std::", r"namespace \w", r"template ?<", r"using namespace ", r"using \w+ = ", r"public:$", r"private:$",
        r"protected:$", r"typedef ", r".*\w->\w", r".*\w::\w", r"\w+ ?\*+\w+(?: =|;|\()", r"\};$", r"class \w+.*\{?$",
        r"struct \w+ ?\{",
    ),
    "sql": (
        r"""(?:select\b|insert into |create (?:or replace |unique |temp )*(?:table|view|index|function|trigger)"
        r"|alter \w+ |update \w+$|update \w+ set|delete from |from [\w."]+(?: (?:as )?\w+)?[,;]?$|where [^:{]*$"
        r"|(?:left |inner |right |outer |cross )*join \w|group by |order by |drop (?:table|index|view)|values ?\("
        r"|having |union|with \w+ as \(|set \w+ = |limit \d|primary key|returns \w|language (?:c|sql|plpgsql)\b"
        r"|as '|as \$|comment on |grant |operator |create \w|begin;?$|end;$|declare$|raise notice|perform "
        r"|\w+ (?:integer|varchar|text|bigint|serial|timestamp|boolean|numeric|uuid)\b)""",
    ),
    "html": (
        r"<!doctype", r"<!--",
        r"</?(?:html|head|body|div|span|p|a|ul|ol|li|table|t[rdh]|thead|tbody|script|style|meta|link|title|h[1-6]"
        r"|section|form|input|button|img|nav|label|svg|path|main|footer|header|br|strong|option|select)\b",
    ),
    "css": (
        r"(?:--[\w-]+|-?[a-z]+(?:-[a-z]+)+|color|margin|padding|display|width|height|font|border|background"
        r"|position|top|left|right|bottom|opacity|flex|grid|gap|content|cursor|transition|transform|overflow"
        r"|animation|outline|fill|stroke) ?: ?[^{}]*;$",
        r"@(?:media|import|font-face|keyframes|mixin|include|use|extend|charset|supports|layer)\b",
        r"[.#&][\w-]+[^;=()]*[{,]$", r"\$[\w-]+:",
    ),
    "json": (r'"[^"]*" ?: ?(?:["{\[\d-]|true|false|null)',),
    "yaml": (
        r"(?:- )?[A-Za-z_][\w./ -]*: [^\s{(].*[^;,{(:]$", r"(?:- )?[A-Za-z_][\w.-]*:$", r"---$",
        r"""- [\w"'./$-][^;{}()]*$""", r"(?:- )?[\w-]+: [|>][-+]?$",
    ),
    "markdown": (
        r"#{2,6} \S", r"[-*+] (?:\S+ ){3}", r"\d+\. \S", r"```", r"> ", r"!?\[.*\]\(", r"\|.*\|$", r"\*\*\w",
        r"[A-Z\[`*](?:[\w,.'()\[\]`*:/-]+ ){5}",
    ),
}  # fmt: skip
# Shapes that are usual in it, and in others too.
_USUAL_SHAPES = {
    "json": (r"[\]}],?$", r"[{\[]$", r'"[^"]*",?$', r"-?\d[\d.e+-]*,?$"),
    "python": (
        r"import \w[\w.]*(?: as \w+)?$", r"self\.", r"return(?: [^;]*)?$", r"raise ", r"@[\w.]+", r"# ",
        r"\w+ = [^;]*$", r"(?:yield|assert|await|pass)\b[^;]*$",
    ),
    "javascript": (
        r"return\b.*;?$", r"if \(", r"\} else", r"// ", r"/?\*", r"\w+\(.*\);?$", r"\w[\w.]* = .*;?$", r"import ",
        r"class \w+.*\{$", r"<[A-Za-z/]",
    ),
    "go": (
        r"return\b[^;]*$", r"if [^;]*\{$", r"// [A-Z]", r"\w+\.[A-Z]\w*\(", r"\}$", r"case .*:$",
        r"\w+[ \t]+\*?[\w.\[\]]+(?:[ \t]+`.*`)?$",
    ),
    "rust": (
        r"return\b.*;$", r"// ", r"\}$", r"\.\w+\(", r".* => ", r"if .* \{$", r"for .* in .* \{$",
        r"\w+: [&\w<>:, ]+,$",
    ),
    "java": (
        r"return\b.*;$", r"// ", r"/?\*", r"if \(.*\{$", r"for \(", r"\} else", r"\w[\w.]*\(.*\);$",
        r"[A-Z]\w*(?:<.*>)? \w+(?: =|;)", r"\w[\w.]* = .*;$", r"try \{", r"@[A-Z]",
    ),
    "csharp": (
        r"return\b.*;$", r"// ", r"if \(.*\)$", r"else$", r"\{$", r"\}$", r"[A-Z]\w*(?:<.*>)?\??[ ]\w+(?: =|;)",
        r"var \w+ = ", r"\w[\w.]*\(.*\);$", r"string ", r"case .*:$",
    ),
    "kotlin": (
        r"return\b[^;]*$", r"// ", r"/?\*", r"if \(.*\{$", r"\} else", r"for \(\w+ in ", r"\w[\w.]*\([^;]*\)$",
        r"\w+: \w+[?]?,?$", r"class \w+",
    ),
    "php": (
        r"return\b.*;$", r"// ", r"/?\*", r"if \(.*\{?$", r"\} else", r"foreach \(", r"\w[\w:]*\(.*\);$",
        r"'\w+' => ",
    ),
    "ruby": (
        r"return\b[^;]*$", r"# ", r"if [^({;]*$", r"else$", r"\w+ = [^;]*$", r"""\w+ [:'"]""", r".*\.each",
        r"include [A-Z]",
    ),
    "shellscript": (
        r"# ", r"else$", r".*\$\{?\w", r"\w+ -\w", r".* \| \w", r".* (?:&&|\|\|) ",
    ),
    "c": (
        r"return\b.*;$", r"// ", r"/?\*", r"if \(.*", r"for \(", r"\} else", r"\w[\w.:>-]*\(.*\);$",
        r"\w[\w.]* [-+]?= .*;$", r"case .*:$", r"break;",
    ),
    "sql": (
        r"--", r"and ", r"or ", r"\)[,;]?$", r"[\w.]+ (?:as \w+)?,$",
    ),
    "html": (
        r"</?[a-z][\w-]*[ >]", r'[\w-]+="[^"]*"', r"\{[{%]",
    ),
    "css": (
        r'[\w.#*:>, \[\]="()-]+\{$', r"\}$", r"/\*",
    ),
    "markdown": (
        r"[-*+] \S", r"# \S", r"[a-z](?:[\w,.'`*-]+ ){5}",
    ),
}  # fmt: skip

# Signs of the less plain members of a family.
_SIGN_SHAPES = {
    "typescript": (
        r"interface \w+", r"(?:export )?(?:declare )?type \w+.{0,40} =",
        r".*\w[?)]?: (?:string|number|boolean|void|any|unknown|never|Promise<)", r"import type ",
        r"(?:private|public|readonly|protected|abstract) ", r"export (?:interface|type|enum|abstract)",
        r".*\bas (?:const|string|unknown|any|\w+\[\])", r".*\w[?)]?: [A-Z]\w*(?:<.*>)?(?:\[\])?[;)={]", r"enum \w+ \{",
        r""".*\w\([^{}()"']{0,60}\w\??: \w""",
    ),
    "jsx": (
        r"<[A-Z]\w*[ />.]", r"</?(?:div|span|p|button|ul|li|h\d|input|form|section|label)\b", r".*className=",
        r"return \(?<", r"<>$", r"</>$",
    ),
    "cpp": (
        r".*\w::[\w~]", r"template ?<", r"namespace ", r"class \w", r"(?:public|private|protected):$",
        r"#include <(?:\w+|\w+/.*)>$", r".*\bnullptr\b", r".*\bconstexpr\b", r"using ", r".*\bauto[ &]",
        r".*\w ?& ?\w+[,)]", r"virtual ", r".*\boverride\b",
    ),
    "scss": (
        r"\$[\w-]+:", r"@(?:mixin|include|use|extend|function|return|if|else|each)\b", r"&[:.\-_]", r".*: .*\$[\w-]+",
        r"// ",
    ),
    "less": (
        r"@[\w-]+: ", r"\.[\w-]+\(.*\);$", r"[a-z-]+: @[\w-]+",
    ),
    "jsonc": (
        r"//", r"/\*",
    ),
}  # fmt: skip
_TYPICAL = {
    family: re.compile("|".join(shapes), re.IGNORECASE if family in _IN_ANY_CASE else 0)
    for family, shapes in _TYPICAL_SHAPES.items()
}
_USUAL = {
    family: re.compile("|".join(shapes), re.IGNORECASE if family in _IN_ANY_CASE else 0)
    for family, shapes in _USUAL_SHAPES.items()
}
_SIGNS = {member: re.compile("|".join(shapes)) for member, shapes in _SIGN_SHAPES.items()}

FAMILIES = tuple(_TYPICAL)


def family_of(language: str) -> str:
    """The family of a language, named after one of its members."""
    return _FAMILIES.get(language, language)


def count_points(lines: Sequence[str], family: str) -> int:
    """How much the lines look like a family's: 2 for each that is typical of it, 1 for each that is usual."""
    pattern, usual = _TYPICAL[family], _USUAL.get(family)
    return sum(2 if pattern.match(line) else usual is not None and usual.match(line) is not None for line in lines)


def member_of(family: str, lines: Sequence[str]) -> str:
    """The language among those that look alike."""
    match family:
        case "javascript":
            kind = "typescript" if _share(lines, "typescript") > MIN_SIGNS else "javascript"
            return kind + "react" if _share(lines, "jsx") > MIN_SIGNS else kind
        case "c":
            return "cpp" if _share(lines, "cpp") > MIN_SIGNS else "c"
        case "css":
            scss, less = _share(lines, "scss"), _share(lines, "less")
            return "css" if max(scss, less) == 0 else "scss" if scss >= less else "less"
        case "json":
            return "jsonc" if _share(lines, "jsonc") > 0 else "json"
    return family


def _share(lines: Sequence[str], member: str) -> float:
    pattern = _SIGNS[member]
    return sum(pattern.match(line) is not None for line in lines) / max(1, len(lines))
