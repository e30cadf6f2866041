"""Names of companies that do not exist, in the manner of their market, and names of invented clients.

A name is a coined first word (beginning + ending), a line of business and a legal form. Distinct numbers give distinct
names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Flavour:
    """The word lists of a market; every part is separated by blanks."""

    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    lines: tuple[str, ...]
    forms: tuple[str, ...]

    @property
    def names(self) -> int:
        """How many names there are before numbering begins."""
        return len(self.beginnings) * len(self.endings) * len(self.lines)


def _flavour(beginnings: str, endings: str, lines: str, forms: str) -> Flavour:
    return Flavour(tuple(beginnings.split()), tuple(endings.split()), tuple(lines.split("|")), tuple(forms.split("|")))


_ENGLISH_LINES: Final = (
    "Therapeutics|Energy|Bancorp|Software|Semiconductor|Minerals|Logistics|Realty Trust|Biosciences|Aerospace"
    "|Foods|Retail"
    "|Networks|Materials|Robotics|Water|Insurance|Diagnostics|Solar|Apparel|Health|Motors|Steel|Media|Gaming"
    "|Payments|Rail"
    "|Packaging|Gold|Pharma|Cloud|Storage|Marine|Homes|Education|Labs|Power|Timber|Chemicals|Instruments"
)
FLAVOURS: Final = {
    "US": _flavour(
        "Cal Nor Vel Tar Bex Ori Zan Lum Hal Quor Ard Myr Pel Sor Dax Fen Gal Jor Kes Lor Mav Nex Oth Pra Ral"
        " Sel Tol Uln Ver"
        " Wex Yar Zel Brin Crai Drum Eld Farr Glen Hask Ivar",
        "dane vexa tera lyn quist mora bright field haven crest ridge stead wick ford more land gate wood"
        " mont stone bury"
        " worth cott vale dell hurst grove mere brook holm thorne leigh combe wynd stow den rick gard fell by",
        _ENGLISH_LINES,
        "Inc|Corp|Holdings Inc|Group Inc|Co|Corporation|Technologies Inc|Partners LP",
    ),
    "GB": _flavour(
        "Ash Bram Cott Dun Ever Fal Graf Hather Inver Kel Lang Mar Nether Oak Pem Quar Rother Stan Thorn Upp"
        " War Yel Aber Bally",
        "bourne combe dale ford gate ham hurst leigh mere minster shaw stoke thorpe ton wick worth borough by"
        " cliffe den",
        _ENGLISH_LINES,
        "PLC|Group PLC|Holdings PLC|Trust PLC",
    ),
    "JP": _flavour(
        "Asa Hino Kiri Miya Taka Nishi Higa Kuro Shira Haya Mori Sawa Tsuki Yuki Hana Ishi Iwa Fuka Naga Oki"
        " Some Tachi Umi Waka",
        "yama gawa mura zaki hara mine tani hashi matsu shima numa hata zawa kura buchi tsuka bayashi kubo moto naka",
        "Seiki|Kogyo|Denki|Kagaku|Shoji|Foods|Unyu|Kensetsu|Yakuhin|Jidosha|Tekko|Tsushin|Fudosan|Hoken"
        "|Seimitsu|Sangyo|Keiki"
        "|Zosen|Senko|Bussan",
        "Co Ltd|Corp|Holdings Inc|KK",
    ),
    "TW": _flavour(
        "Jin Hua Rui Tai Yong Cheng Da Feng Guo Hong Jia Kai Li Ming Ning Qing Sheng Tian Wei Xin Yi Zhen An Bao",
        "yuan chuan tek ming shin heng long xiang feng hai lin tai yu cheng zhou bang ding quan hui rong",
        "Precision Industry|Semiconductor|Optoelectronics|Electronics|Biotech|Shipping|Textile|Steel|Cement|Machinery"
        "|Display|Materials|Communications|Food|Paper|Rubber|Power|Circuit|Sensor|Tooling",
        "Co Ltd|Corp|Technology Co Ltd|International Co Ltd",
    ),
    "KR": _flavour(
        "Han Dae Seo Nam Dong Kyung Jin Sung Woo Mi Ha Ara Bo Chun Ga Hae In Ju Kang Mun Nae On Pyo Ra",
        "neul bit san gang rim dol byeol sol ram nuri maru saem garam haneul mirae gyeol byul dan hyun jae",
        "Chemical|Heavy Industries|Electronics|Pharm|Bio|Construction|Shipbuilding|Battery|Display|Food|Entertainment"
        "|Securities|Steel|Logistics|Materials|Cosmetics|Games|Telecom|Machinery|Energy",
        "Co Ltd|Corp|Holdings Corp|Inc",
    ),
    "HK": _flavour(
        "Golden Jade Eastern Pearl Lucky Grand Silver Pacific Dragon Phoenix Lotus Summit Harbour Orient"
        " Kowloon Peak Victory"
        " Fortune Bright Prosper Royal Century Union Bamboo",
        "fair win way star land rich sky view port sun gate cheer bond mark ville line crown sea bay top",
        "Property|Development|Electronics|Shipping|Pharmaceutical|Textiles|Resources|Gas|Financial|Catering|Healthcare"
        "|Education|Motors|Environmental|Internet|Sports|Dairy|Cement|Hotels|Toys",
        "Holdings Ltd|Group Ltd|International Holdings Ltd|Co Ltd",
    ),
    "DE": _flavour(
        "Rhein Wald Berg Stein Nord Eich Hohen Linden Falken Grün Krön Silber Adler Birken Donau Elb Feld"
        " Grau Halden Isar"
        " Kiefer Lahn Mosel Nahe",
        "hausen bach tal mark feld brück kamp rode hagen stett born heim moor werth furt grund horst leben see weiler",
        "Maschinenbau|Chemie|Pharma|Software|Automobil|Energie|Logistik|Immobilien|Medizintechnik|Stahl|Versicherung"
        "|Elektronik|Optik|Bau|Robotik|Papier|Werkzeuge|Telekom|Lebensmittel|Luftfahrt",
        "AG|SE|Holding AG|AG & Co KGaA",
    ),
    "FR": _flavour(
        "Beau Clair Mont Val Fleur Haute Belle Châtel Grand Rive Saint Aigue Bois Champ Dor Éper Font Gra"
        " Héri Lor Mar Neuv"
        " Orl Per",
        "vallon mont fort rive court ville bourg pierre nay gnac lieu sart vigne lac marche noy ronne sol tour voie",
        "Énergie|Pharma|Aéronautique|Logiciels|Luxe|Distribution|Hôtels|Industries|Santé|Télécom|Matériaux|Transports"
        "|Assurances|Électronique|Boissons|Médias|Chimie|Environnement|Optique|Construction",
        "SA|SE|SCA|Groupe SA",
    ),
}
_CLIENT_FIRST: Final = (
    "Larkspur Foxglove Harrier Kestrel Juniper Tamarisk Osprey Merlin Alder Rowan Sorrel Bracken Teasel Heron"
)
_CLIENT_LAST: Final = "Capital|Partners|Asset Mgmt|Investors|Macro|Quant|Global|Equity|Advisors|Long Short"


def companies(market: str, numbers: Iterable[int]) -> list[str]:
    """The company names of the numbers, in the manner of `market` (of the US where it has no manner of its own)."""
    flavour = FLAVOURS.get(market, FLAVOURS["US"])
    names = []
    for number in numbers:
        series, at = divmod(number, flavour.names)
        at, line = divmod(at, len(flavour.lines))
        beginning, ending = divmod(at, len(flavour.endings))
        form = flavour.forms[(beginning + 3 * ending + 5 * line) % len(flavour.forms)]
        name = f"{flavour.beginnings[beginning]}{flavour.endings[ending]} {flavour.lines[line]}"
        names.append(f"{name} {series + 1} {form}" if series else f"{name} {form}")
    return names


def clients(count: int) -> list[str]:
    """Names of `count` invented funds, at most 24 bytes each."""
    first, last = _CLIENT_FIRST.split(), _CLIENT_LAST.split("|")
    names = []
    for number in range(count):
        series, at = divmod(number, len(first) * len(last))
        name = f"{first[at % len(first)]} {last[at // len(first)]}"
        names.append(f"{name} {series + 1}" if series else name)
    return names
