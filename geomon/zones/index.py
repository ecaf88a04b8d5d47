"""Zone files made ready to place many positions at once.

`zones_for("440300")` reads the zone files and returns a `ZoneIndex`, which answers two questions
about arrays of WGS-84 positions:

- `classify`: how far from the city's boundary, on which side? Asked for every fix.
- `places`: in which administrative place? Asked for those outside, and for alerts.

The city is taken at full detail. The other places of the country are simplified (see
`geomon zones build`), so their borders do not fit the city's exactly: `places` decides with the
city's boundary first and closes the gaps by the nearest place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

from geomon.errors import ZoneError
from geomon.zones.boundary import NEAR_M, Boundary
from geomon.zones.files import ZoneFeature, ZoneFile, read_zone_file, zone_directory
from geomon.zones.places import PlaceMap

__all__ = ["CITY", "NEAR_M", "SHORE_M", "Placement", "ZoneIndex", "city_file", "zones_for"]

#: The city watched unless the settings say otherwise: Shenzhen.
CITY = "440300"

#: A position in no place (off a coast, mostly) is given to the nearest one up to this far, if it
#: is nearer than the city. Not above `NEAR_M`, or the distance to the city would not be known.
SHORE_M = 3000.0
#: Up to this far the nearest place is taken even though the city is nearer: the simplified borders
#: of places leave gaps along the city's true boundary.
SEAM_M = 500.0
# Districts are rounded apart from the city (1e-6 degrees): a position between them is this near.
_ROUNDING_M = 1.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """Where positions are with respect to the city, an item a position.

    `distance_m`: signed distance to the boundary, outside > 0, inside < 0. Exact (0.1 %) when its
    size is under `NEAR_M`; otherwise a lower bound of the true size, never under `NEAR_M`.
    """

    distance_m: Floats

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether each position is in the city; on the line itself counts as outside."""
        return self.distance_m < 0


class ZoneIndex:
    """A city, its districts and the places around it.

    `city_geometry` is a valid (Multi)Polygon in WGS-84 degrees; `districts` its finer places, if
    any; `places` all places of the country (the city itself among them is recognised by `adcode`,
    by default the parent of the districts); `version` is carried into alerts.
    """

    def __init__(
        self,
        city_geometry: BaseGeometry,
        districts: Sequence[ZoneFeature],
        places: Sequence[ZoneFeature],
        version: str,
        *,
        adcode: str | None = None,
    ) -> None:
        if adcode is None:
            adcode = next((d.parent for d in districts if d.parent), "")
        self.adcode = adcode
        self.version = version
        try:
            self._boundary = Boundary(city_geometry)
        except ValueError as error:
            raise ZoneError(f"the city is unfit: {error}") from None
        self.names: Mapping[str, str] = _names([*places, *districts])
        home = ZoneFeature(adcode, self.names.get(adcode, ""), "city", "", city_geometry)
        # A place divided into listed ones (a province) answers only where none of these does.
        divided = {p.parent for p in places}
        own = [p for p in places if adcode and adcode in {p.adcode, p.parent}]
        around = [p for p in places if not adcode or adcode not in {p.adcode, p.parent}]
        self._districts = PlaceMap(districts or [home])
        self._listed_home = PlaceMap(own)
        self._around = PlaceMap([p for p in around if p.adcode not in divided])
        self._provinces = PlaceMap([p for p in around if p.adcode in divided])

    @classmethod
    def from_files(
        cls,
        city: Path | None = None,
        districts: Path | None = None,
        places: Path | None = None,
        extra: Sequence[Path] = (),
        minus: Sequence[Path] = (),
    ) -> ZoneIndex:
        """Read zone files; those not named are the ones that come with geomon.

        `extra` areas are united with the city and `minus` areas are cut out of it, in this order.
        An extra area with an adcode of its own is reported as a district. Without a districts file
        for the city (beside the city's file, or with geomon) positions inside are reported under
        the city's code. Raises `ZoneError` when a file is missing, broken, or of another kind.
        """
        city = city or zone_directory() / f"city-{CITY}.geojson"
        city_file = _read(city, "city")
        adcode = next((f.adcode for f in city_file.features if f.adcode), "")
        districts = districts or _districts_beside(city, adcode)
        district_file = _read(districts, "districts") if districts else city_file
        place_file = _read(places or zone_directory() / "places.geojson", "places")
        extras = [_read(path, "city") for path in extra]
        cuts = [_read(path, "city") for path in minus]
        geometry = shapely.difference(_united([city_file, *extras]), _united(cuts))
        return cls(
            geometry,
            [*district_file.features, *(f for e in extras for f in e.features if f.adcode)],
            [*place_file.features, *(f for f in city_file.features if adcode == f.adcode != "")],
            _version(city_file, [district_file, place_file], extras, cuts),
            adcode=adcode,
        )

    @property
    def city_geometry(self) -> BaseGeometry:
        """The city's area in WGS-84 degrees, with what was added and cut out; not to be changed."""
        return self._boundary.geometry

    def classify(self, lon: ArrayLike, lat: ArrayLike) -> Placement:
        """Place WGS-84 positions (two rows of one length) with respect to the city.

        Raises `ValueError` when a coordinate is not finite or not on the globe, or the shapes
        differ: decoding refuses such fixes before they come here.
        """
        return Placement(self._boundary.signed_distance_m(_row(lon), _row(lat)))

    def boundary_distance_m(self, lon: float, lat: float) -> float:
        """Signed distance of one WGS-84 position to the city's boundary, metres, at any range.

        Exact (0.1 %), also where `classify` gives a bound; outside > 0, inside < 0.
        """
        return self._boundary.exact_distance_m(float(lon), float(lat))

    def places(self, lon: ArrayLike, lat: ArrayLike) -> list[str]:
        """The adcode of the finest place that holds each WGS-84 position, "" where none does.

        Inside the city: its district; in an extra area without a code, the place it lies in.
        Outside, in this order:

        1. the finest place that holds the position, the city and its districts set aside;
        2. the nearest such place, within `SHORE_M` and nearer than the city, or within `SEAM_M`;
        3. the province that holds it, where the list of places has a hole and not the city;
        4. "" : at sea off the city, further at sea, abroad.

        So a position across the line is never reported as the city, however coarse the places are,
        and one in the sea off it never as the province.
        """
        lon, lat = _row(lon), _row(lat)
        distance_m = self._boundary.signed_distance_m(lon, lat)
        codes = np.full(len(lon), "", dtype=object)
        inside = distance_m < 0
        self._name_inside(codes, np.flatnonzero(inside), lon, lat)
        self._name_outside(codes, np.flatnonzero(~inside), lon, lat, distance_m)
        return [str(code) for code in codes]

    def _name_inside(
        self, codes: NDArray[np.object_], rest: NDArray[np.intp], lon: Floats, lat: Floats
    ) -> None:
        rest = _settle(codes, rest, self._districts, self._districts.holding(lon[rest], lat[rest]))
        found, _ = self._districts.nearest(lon[rest], lat[rest], _ROUNDING_M)
        rest = _settle(codes, rest, self._districts, found)
        rest = _settle(codes, rest, self._around, self._around.holding(lon[rest], lat[rest]))
        codes[rest] = self.adcode

    def _name_outside(
        self,
        codes: NDArray[np.object_],
        rest: NDArray[np.intp],
        lon: Floats,
        lat: Floats,
        city_m: Floats,
    ) -> None:
        rest = _settle(codes, rest, self._around, self._around.holding(lon[rest], lat[rest]))
        found, place_m = self._around.nearest(lon[rest], lat[rest], SHORE_M)
        found[(place_m > SEAM_M) & (place_m >= city_m[rest])] = -1
        rest = _settle(codes, rest, self._around, found)
        rest = rest[self._listed_home.holding(lon[rest], lat[rest]) < 0]
        _settle(codes, rest, self._provinces, self._provinces.holding(lon[rest], lat[rest]))


def city_file(city: str) -> Path:
    """The zone file of a setting: `city` is a six-digit adcode or the path of a zone file.

    Raises `ZoneError` when there is none for an adcode.
    """
    if not re.fullmatch(r"\d{6}", city):
        return Path(city)
    path = zone_directory() / f"city-{city}.geojson"
    if not path.exists():
        raise ZoneError(
            f"no zone file for {city} in {path.parent}; "
            f"make one: geomon zones build --adcode {city}"
        )
    return path


def zones_for(
    city: str = CITY, *, extra: Iterable[str | Path] = (), minus: Iterable[str | Path] = ()
) -> ZoneIndex:
    """The zones of a setting: `city` as for `city_file`.

    `extra` and `minus` are paths of areas to add and to cut out. Raises `ZoneError` in one line.
    """
    return ZoneIndex.from_files(
        city_file(city), extra=[Path(p) for p in extra], minus=[Path(p) for p in minus]
    )


def _read(path: Path, what: str) -> ZoneFile:
    """A zone file of the kind that is expected, or a user's own."""
    zone_file = read_zone_file(path)
    if zone_file.what not in {what, "user"}:
        # The list of places taken for the city would put the fence around the whole country.
        raise ZoneError(f"{path} holds {zone_file.what}, a file of kind {what} is wanted here")
    return zone_file


def _districts_beside(city: Path, adcode: str) -> Path | None:
    for folder in (city.parent, zone_directory()):
        path = folder / f"districts-{adcode}.geojson"
        if adcode and path.exists():
            return path
    return None


def _united(files: Iterable[ZoneFile]) -> BaseGeometry:
    return shapely.union_all([f.geometry for file in files for f in file.features])


def _version(
    city: ZoneFile, others: Sequence[ZoneFile], extras: Sequence[ZoneFile], cuts: Sequence[ZoneFile]
) -> str:
    """The city file's version, and eight hex digits that change with any of the files used."""
    used = [
        *(f"={file.sha256}" for file in (city, *others)),
        *sorted(f"+{file.sha256}" for file in extras),
        *sorted(f"-{file.sha256}" for file in cuts),
    ]
    return f"{city.version}.{hashlib.sha256(' '.join(used).encode()).hexdigest()[:8]}"


def _names(features: Iterable[ZoneFeature]) -> Mapping[str, str]:
    return MappingProxyType({f.adcode: f.name for f in features if f.adcode})


def _row(values: ArrayLike) -> Floats:
    return np.atleast_1d(np.asarray(values, dtype=np.float64))


def _settle(
    codes: NDArray[np.object_], rest: NDArray[np.intp], places: PlaceMap, found: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Write the codes of the places found for the positions `rest`; return those left without."""
    for k in np.unique(found[found >= 0]):
        codes[rest[found == k]] = places.features[k].adcode
    return rest[found < 0]
