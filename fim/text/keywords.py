"""Words of each language by LSP language id: keywords, and names that are in nearly every file.

A begun word that becomes one of them is not a new name.
"""

import builtins
import keyword
from functools import cache

_PYTHON = {
    *keyword.kwlist,
    *keyword.softkwlist,
    *dir(builtins),
    "__name__",
    "__main__",
    "__file__",
    "__all__",
    "self",
    "cls",
}
_C = """
    auto bool break case char const continue default define do double else enum extern false float for goto if ifdef
    ifndef endif include inline int long NULL return short signed sizeof static struct switch true typedef union
    unsigned void volatile while size_t
"""
_SCRIPT = """
    async await break case catch class const constructor continue default delete do else export extends false finally
    for from function get if import in instanceof let new null of return set static super switch this throw true try
    typeof undefined var void while with yield console document window length Array Boolean Date Error JSON Map Math
    Number Object Promise RegExp Set String Symbol
"""
_TYPED_SCRIPT = """
    abstract any as asserts boolean declare enum implements infer interface is keyof module namespace never number
    object override private protected public readonly satisfies string type unknown Record Partial Readonly
"""
_JAVA = """
    abstract assert boolean break byte case catch char class continue default do double else enum extends false final
    finally float for if implements import instanceof int interface long new null package private protected public
    record return short static super switch synchronized this throw throws true try var void volatile while yield
    String Integer Long Boolean Object List Map Override System
"""
_WORDS = {
    "c": _C,
    "cpp": _C + """
        catch class constexpr const_cast decltype delete dynamic_cast explicit final friend mutable namespace new
        noexcept nullptr operator override private protected public reinterpret_cast static_cast std string template
        this throw try typename using vector virtual
    """,
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _SCRIPT + _TYPED_SCRIPT,
    "typescriptreact": _SCRIPT + _TYPED_SCRIPT,
    "java": _JAVA,
    "kotlin": """
        abstract as break by class companion const constructor continue data do else enum false final for fun if
        import in init inline interface internal is lateinit let null object open operator override package private
        protected public return sealed super suspend this throw true try typealias val var when where while Boolean
        Int List Long Map String Unit listOf mapOf println
    """,
    "csharp": """
        abstract as async await base bool break byte case catch char class const continue decimal default delegate do
        double else enum event explicit extern false finally float for foreach get goto if implicit in int interface
        internal is lock long namespace new null object operator out override params private protected public readonly
        record ref return sealed set short sizeof static string struct switch this throw true try typeof uint using
        var virtual void volatile where while yield Console List Dictionary String Task
    """,
    "go": """
        any append bool break byte case chan const continue copy default defer delete else error fallthrough false
        float64 for func go goto if import int int64 interface len make map new nil package panic range return rune
        select string struct switch true type uint64 var err fmt
    """,
    "rust": """
        as async await bool break const continue crate dyn else enum extern false fn for if impl in let loop match mod
        move mut pub ref return self Self static struct super trait true type unsafe use where while Option Some None
        Result Ok Err Vec String Box Clone Debug Default usize isize u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 str std
        println
    """,
    "php": """
        abstract array as bool break callable case catch class clone const continue declare default do echo else
        elseif empty enum extends false final finally float fn for foreach function global if implements include
        instanceof int interface isset match namespace new null parent private protected public readonly require
        require_once return self static string switch this throw trait true try unset use var void while yield
    """,
    "shellscript": """
        case do done echo elif else esac exit export false fi for function grep if in local printf read readonly
        return select set shift source test then trap true unset until while
    """,
    "ruby": """
        alias and attr_accessor attr_reader attr_writer begin break case class def defined do each else elsif end
        ensure extend false for if in include initialize lambda loop map module new next nil not or private proc
        protected public puts raise redo require require_relative rescue retry return self super then true undef
        unless until when while yield
    """,
    "sql": """
        ADD ALL ALTER AND AS ASC BEGIN BETWEEN BY CASE CHECK COLUMN COMMIT CONSTRAINT COUNT CREATE CROSS DEFAULT
        DELETE DESC DISTINCT DROP ELSE END EXISTS FOREIGN FROM FULL GROUP HAVING IF IN INDEX INNER INSERT INTEGER INTO
        IS JOIN KEY LEFT LIKE LIMIT NOT NULL ON OR ORDER OUTER PRIMARY REFERENCES RETURNING RIGHT ROLLBACK SELECT SET
        SUM TABLE TEXT THEN TIMESTAMP TRANSACTION UNION UNIQUE UPDATE USING VALUES VARCHAR VIEW WHEN WHERE WITH
    """,
    "css": """
        absolute align animation auto background block border bottom center color column content cursor display fixed
        flex font grid height hidden hover important inherit inline justify left margin max media min none opacity
        overflow padding position relative right root solid text top transform transition var weight width
    """,
    "html": """
        article aside body button charset class content div footer form head header height href html img input label
        lang link main meta name nav option script section select span src style table tbody title type value width
    """,
    "json": "true false null",
    "jsonc": "true false null",
    "yaml": "true false null",
}  # fmt: skip


@cache
def words_of(language: str) -> frozenset[str]:
    """The words of a language; empty for an unknown one."""
    if language == "python":
        return frozenset(_PYTHON)
    words = _WORDS.get("css" if language in ("scss", "less") else language, "").split()
    return frozenset({*words, *(map(str.lower, words) if language == "sql" else ())})
