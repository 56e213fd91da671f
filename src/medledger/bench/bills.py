"""Realistic bills, the same for the same seed: 12 lines, Chinese text, 1,000 patients.

    pool = make_pool()              # before the clock starts
    for bill in bills(pool, 10_000): ...

Texts, amounts, lines and keys are drawn beforehand, for a pool of bills. Each bill of the stream is
one of the pool under a business key of its own, made and checked as any bill that comes in. So the
stream needs the memory of its pool only, however long it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

from medledger.core.documents import (
    Invoice,
    InvoiceLine,
    Party,
    Prescription,
    PrescriptionLine,
    mask_identity,
)
from medledger.core.patient_keys import PatientKey

HOSPITAL = Party("12469023", "澄迈县人民医院")
LINES = 12
PATIENTS = 1_000
POOL = 2_000

_CHINA = timezone(timedelta(hours=8))
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英"
_DEPARTMENTS = ("内科", "外科", "儿科", "妇产科", "眼科", "耳鼻喉科", "皮肤科", "急诊科", "中医科")
_ITEMS = (
    ("0101", "西药费", "阿莫西林胶囊", "盒", "0.25g×24粒"),
    ("0101", "西药费", "盐酸二甲双胍缓释片", "盒", "0.5g×30片"),
    ("0101", "西药费", "氯化钠注射液", "袋", "250ml:2.25g"),
    ("0102", "中成药费", "连花清瘟胶囊", "盒", "0.35g×36粒"),
    ("0103", "中药饮片费", "黄芪", "克", "统货"),
    ("0104", "检查费", "胸部 X 线计算机体层（CT）平扫", "次", ""),
    ("0104", "检查费", "常规心电图检查（十二通道）", "次", ""),
    ("0105", "化验费", "血细胞分析（五分类）", "项", ""),
    ("0105", "化验费", "糖化血红蛋白测定", "项", ""),
    ("0106", "治疗费", "静脉输液（住院静脉输液）", "组", ""),
    ("0107", "手术费", "清创缝合术（小）", "次", ""),
    ("0108", "卫生材料费", "一次性使用静脉留置针", "支", "24G"),
    ("0109", "诊察费", "副主任医师门诊诊察费", "次", ""),
    ("0110", "一般诊疗费", "一般诊疗费", "次", ""),
    ("0111", "挂号费", "急诊挂号费", "次", ""),
)


def make_patients(seed: int = 1, count: int = PATIENTS) -> list[PatientKey]:
    """The patients' extended keys."""
    draw = random.Random(seed)
    return [PatientKey.from_seed(draw.randbytes(32)) for _ in range(count)]


def make_pool(
    patients: Sequence[PatientKey] | None = None, *, seed: int = 1, size: int = POOL
) -> list[Invoice]:
    """Bills to make streams of."""
    keys = make_patients(seed) if patients is None else patients
    draw = random.Random(seed)
    return [_bill(draw, keys[index % len(keys)], index) for index in range(size)]


def bills(pool: Sequence[Invoice], count: int, *, first: int = 0) -> Iterator[Invoice]:
    """`count` bills with business keys from `first` on."""
    for position in range(first, first + count):
        yield replace(pool[position % len(pool)], business_key=f"MZ20260105{position:09d}")


def prescriptions(
    patients: Sequence[PatientKey], count: int, *, valid_until: int
) -> Iterator[Prescription]:
    """`count` prescriptions of two drugs; `valid_until` is in Unix seconds."""
    lines = (
        PrescriptionLine("XJ01CAA040E001010100483", "阿莫西林胶囊", 24, "粒", "口服，一次 2 粒"),
        PrescriptionLine("XM01AEB228E002010100104", "布洛芬缓释胶囊", 10, "粒", "必要时口服"),
    )
    for position in range(count):
        yield Prescription(
            f"CF20260105{position:09d}",
            patients[position % len(patients)].public,
            datetime(2026, 1, 5, 9, 30, tzinfo=_CHINA),
            valid_until,
            Party("D460000001", "李医师", 1),
            Party("469*************3X", "测试患者", 1),
            lines,
        )


def _bill(draw: random.Random, patient: PatientKey, index: int) -> Invoice:
    lines = tuple(_line(draw, position) for position in range(LINES))
    total = sum(line.amount_minor for line in lines)
    fund = total * draw.randint(40, 80) // 100
    account = (total - fund) // draw.randint(2, 4)
    birth = date(1940, 1, 1) + timedelta(days=draw.randrange(29_000))
    identity = f"469023{birth:%Y%m%d}{draw.randrange(1000):03d}X"
    issued_at = datetime(2026, 1, 5, 8, tzinfo=_CHINA) + timedelta(seconds=draw.randrange(36_000))
    name = draw.choice(_SURNAMES) + "".join(draw.sample(_GIVEN, draw.randint(1, 2)))
    return Invoice(
        business_key=f"MZ{index}",
        patient_key=patient.public,
        issued_at=issued_at,
        invoicing_party=HOSPITAL,
        payer_party=Party(mask_identity(identity), name, 1),
        currency="CNY",
        total_minor=total,
        own_pay_minor=total - fund - account,
        lines=lines,
        fund_pay_minor=fund,
        account_pay_minor=account,
        area_code="469023",
        medical_type="门诊",
        medical_date=issued_at.date(),
        gender=draw.choice("男女"),
        patient_number=f"{draw.randrange(10**8):08d}",
        insurance_type=draw.choice(("城镇职工基本医疗保险", "城乡居民基本医疗保险")),
        insurance_id=mask_identity(identity),
        department_name=draw.choice(_DEPARTMENTS),
        pay_mode="移动支付",
    )


def _line(draw: random.Random, position: int) -> InvoiceLine:
    code, category, item, unit, std = draw.choice(_ITEMS)
    return InvoiceLine(
        f"{code}{position:04d}",
        item,
        draw.randint(150, 45_000),
        unit=unit,
        quantity=draw.choice(("1", "2", "3", "0.5")),
        std=std,
        remark=category,
    )
