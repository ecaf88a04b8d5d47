"""The places of the cases: real towns, stations and roads, WGS-84; homes are invented.

Coordinates are good to some hundred metres, which is all that a journey of straight pieces needs;
which side of the boundary each lies on is checked by the tests through the journeys.
"""

from __future__ import annotations

from geomon.cases.journey import Spot

__all__ = [
    "MAST_FENGGANG",
    "MAST_LO_WU",
    "MAST_SAN_TIN",
    "MAST_SHEUNG_SHUI",
    "MAST_TSIM_BEI_TSUI",
    "PLACES",
]

PLACES = {
    # Futian and Nanshan
    "Lianhua": Spot(114.0565, 22.5625),
    "Lianhua hill": Spot(114.0540, 22.5545),
    "civic centre": Spot(114.0545, 22.5445),
    "Huanggang village": Spot(114.0670, 22.5230),  # 600 m from the river border
    "mangrove park": Spot(114.0050, 22.5270),
    "bay park": Spot(113.9870, 22.5230),  # 1 km from the border in the bay
    "science park": Spot(113.9450, 22.5405),
    # the expressway G4 to the west and on to Guangxi
    "Nantou": Spot(113.9200, 22.5480),
    "Bao'an": Spot(113.8850, 22.5650),
    "Xixiang": Spot(113.8600, 22.5900),
    "Hezhou": Spot(113.8450, 22.6300),
    "Fuyong": Spot(113.8250, 22.6780),
    "Shajing": Spot(113.8270, 22.7300),
    "Songgang": Spot(113.8400, 22.7700),
    "Chang'an": Spot(113.8000, 22.8100),
    "Humen": Spot(113.6750, 22.8250),
    "Humen bridge west": Spot(113.5900, 22.7850),
    "Shunde": Spot(113.2500, 22.8000),
    "Jiangmen": Spot(113.0800, 22.6000),
    "Kaiping": Spot(112.6900, 22.3800),
    "Luoding": Spot(111.5700, 22.7700),
    "Cenxi": Spot(110.9900, 22.9200),
    "Yulin": Spot(110.1540, 22.6300),
    "Bobai": Spot(109.9750, 22.2730),
    "village near Bobai": Spot(109.9330, 22.2410),
    # Longgang and the railway to Henan
    "Pinghu": Spot(114.1290, 22.6900),
    "Pinghu ecology park": Spot(114.1200, 22.6800),
    "Nanwan": Spot(114.1500, 22.6450),
    "Henggang": Spot(114.2050, 22.6450),
    "Longgang centre": Spot(114.2470, 22.7205),
    "Bantian": Spot(114.0650, 22.6300),
    "Shenzhen North": Spot(114.0293, 22.6093),
    "Guangmingcheng": Spot(113.9420, 22.7310),
    "Humen station": Spot(113.6730, 22.8600),
    "Guangzhou South": Spot(113.2691, 22.9889),
    "Shaoguan": Spot(113.5450, 24.7600),
    "Chenzhou": Spot(112.9600, 25.8000),
    "Hengyang": Spot(112.6900, 26.8900),
    "Changsha South": Spot(113.0650, 28.1470),
    "Wuhan": Spot(114.4240, 30.6070),
    "Xinyang": Spot(114.1400, 32.1600),
    "Zhumadian West": Spot(113.9500, 32.9800),
    "Runan": Spot(114.3600, 33.0050),
    "village near Runan": Spot(114.4100, 32.9600),
    # Luohu and the road to Huizhou
    "Chunfeng road": Spot(114.1168, 22.5392),
    "Dongmen": Spot(114.1190, 22.5460),
    "Binhe road": Spot(114.1030, 22.5400),
    "Huaqiangbei": Spot(114.0860, 22.5460),
    "riverside": Spot(114.1120, 22.5378),
    "Renmin park": Spot(114.1120, 22.5560),
    "Wutong hill foot": Spot(114.1830, 22.5720),
    "Wutong hill top": Spot(114.2130, 22.5800),
    "Buji": Spot(114.1200, 22.6030),
    "Pingdi": Spot(114.3010, 22.7680),
    "Xinxu": Spot(114.3300, 22.8250),
    "Huizhou": Spot(114.4130, 23.1100),
    "West Lake of Huizhou": Spot(114.3980, 23.0900),
}

# Masts of the other side that a phone can hear over the water or over a hill.
MAST_SAN_TIN = Spot(114.0680, 22.5060)  # Hong Kong
MAST_TSIM_BEI_TSUI = Spot(114.0100, 22.4870)  # Hong Kong
MAST_FENGGANG = Spot(114.1500, 22.7120)  # Dongguan
MAST_LO_WU = Spot(114.1190, 22.5225)  # Hong Kong
MAST_SHEUNG_SHUI = Spot(114.1275, 22.5025)  # Hong Kong
