"""What the page says, in each language. `steps` is by `EvidenceError.step`, `fields` by field."""

from __future__ import annotations

from typing import Any

WORDS: dict[str, dict[str, Any]] = {
    "zh": {
        "title": "票据与处方真伪查验",
        "intro": "请选择医院交给您的凭证文件（.json）。查验后文件不会被保存。",
        "choose": "选择凭证文件",
        "drop": "也可以将文件拖到这里",
        "checking": "正在查验……",
        "valid": "查验通过",
        "valid_named": "这份票据由下列单位开具，内容未被改动；目前没有冲红，也没有停用。",
        "valid_invoice": "这份票据由登记在册的医院开具，内容未被改动；目前没有冲红，也没有停用。",
        "valid_prescription": "这份处方由登记在册的医院开具，内容未被改动；目前没有作废，"
        "也没有停用。能否配药，请看有效期并询问药房。",
        "valid_licence": "这份证照由登记在册的发证机关签发，内容未被改动；目前在有效期内，"
        "没有暂停，也没有吊销。",
        "valid_record": "这份病历由登记在册的医院开具，内容未被改动；目前没有更新的版本，"
        "也没有停用。",
        "invalid": "不能认可",
        "unknown": "暂时无法查验",
        "try_later": "请稍后再试。",
        "too_large": "文件过大，不是凭证文件。",
        "sealed": "另有 {count} 项内容未出示。",
        "sealed_one": "另有 1 项内容未出示。",
        "details": "技术说明",
        "another": "再查验一份",
        "number": "编号",
        "issued_at": "登记时间",
        "steps": {
            "format": "这不是完整的凭证文件，可能已损坏。请向医院重新索取。",
            "fields": "文件中的内容与医院当时封存的不一致，可能被改动过。",
            "header": "文件中的内容互相矛盾，可能被改动过。",
            "path": "文件中的证明对不上，可能被改动过。",
            "anchor": "登记簿中没有这份文件。",
            "issuer": "文件写明的医院，不是登记开具它的医院。",
            "status": "文件是真实的，但目前不能使用：已冲红、已作废，或被医院暂停使用。",
        },
        "fields": {
            "EInvoiceName": "票据名称",
            "InvoicingParty": "开票单位",
            "PayerParty": "交款人",
            "IssueDate": "开票日期",
            "TotalAmount": "金额合计",
            "fundPayAmount": "医保统筹基金支付",
            "otherPayAmount": "其他支付",
            "accountPayAmount": "个人账户支付",
            "ownPayAmount": "个人现金支付",
            "medicalType": "医疗类别",
            "departmentName": "科室",
            "RandomNumber": "校验码",
            "rxTraceCode": "校验码",
            "Item": "收费项目",
            "prescriber": "开方医师",
            "patient": "患者",
            "rxDetail": "药品",
            "valiEndTime": "有效期至",
        },
    },
    "en": {
        "title": "Check a medical bill or prescription",
        "intro": "Choose the evidence file (.json) that the hospital gave you. "
        "It is checked and not kept.",
        "choose": "Choose the evidence file",
        "drop": "or drop it here",
        "checking": "Checking…",
        "valid": "Genuine",
        "valid_named": "The hospital below issued this bill, and nothing in it was changed. "
        "It is neither reversed nor on hold.",
        "valid_invoice": "An accredited hospital issued this bill, and nothing in it was changed. "
        "It is neither reversed nor on hold.",
        "valid_prescription": "An accredited hospital issued this prescription, and nothing in it "
        "was changed. It is neither cancelled nor on hold. Whether it can still be dispensed "
        "depends on how long it is valid: ask a pharmacy.",
        "valid_licence": "An accredited authority issued this licence, and nothing in it was "
        "changed. It is within its validity, and neither suspended nor revoked.",
        "valid_record": "An accredited hospital issued this record, and nothing in it was changed. "
        "It is the newest version, and not on hold.",
        "invalid": "Do not accept this",
        "unknown": "It cannot be checked now",
        "try_later": "Please try again later.",
        "too_large": "This file is too large to be an evidence file.",
        "sealed": "{count} other entries are not shown by this file.",
        "sealed_one": "One other entry is not shown by this file.",
        "details": "Technical details",
        "another": "Check another file",
        "number": "Number",
        "issued_at": "Registered",
        "steps": {
            "format": "This is not a complete evidence file. It may be damaged: "
            "ask the hospital for it again.",
            "fields": "What the file says is not what the hospital sealed. "
            "It may have been changed.",
            "header": "The file contradicts itself. It may have been changed.",
            "path": "The proof in the file does not fit. It may have been changed.",
            "anchor": "The register does not have this document.",
            "issuer": "The hospital that the file names is not the one that issued it.",
            "status": "The document is genuine, but cannot be used now: "
            "it was reversed, cancelled, or put on hold by the hospital.",
        },
        "fields": {
            "EInvoiceName": "Document",
            "InvoicingParty": "Hospital",
            "PayerParty": "Payer",
            "IssueDate": "Date",
            "TotalAmount": "Total",
            "fundPayAmount": "Paid by the insurance fund",
            "otherPayAmount": "Paid by others",
            "accountPayAmount": "Paid from the personal account",
            "ownPayAmount": "Paid by the patient",
            "medicalType": "Kind of care",
            "departmentName": "Department",
            "RandomNumber": "Check code",
            "rxTraceCode": "Check code",
            "Item": "Charges",
            "prescriber": "Prescriber",
            "patient": "Patient",
            "rxDetail": "Medicines",
            "valiEndTime": "Valid until",
        },
    },
}
