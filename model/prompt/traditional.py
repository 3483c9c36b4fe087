"""Traditional characters, and a few variants, to the simplified ones that the vocabulary is written in."""

from __future__ import annotations

_PAIRS = (
    "燭烛 燈灯 籠笼 蠟蜡 壁壁 陽阳 餘余 燼烬 爐炉 熔熔 鎔熔 巖岩 巌岩 魔魔 靈灵 術术 詭诡 異异 陰阴 塊块 頭头 磚砖 "
    "塼砖 質质 製制 "
    "實实 鬆松 蘚藓 籐藤 蔓蔓 灘滩 黃黄 鵝鹅 鋪铺 舖铺 遠远 馬马 賽赛 盤盘 綠绿 緑绿 藍蓝 紅红 銀银 純纯 潔洁 紫紫 "
    "羅罗 蘭兰 "
    "橫横 樑梁 棟栋 嵌嵌 狀状 鑲镶 狹狭 擁拥 擠挤 侷局 寬宽 敞敞 廣广 闊阔 龐庞 偉伟 曠旷 開开 體体 寶宝 鑽钻 結结 "
    "錐锥 圓圆 "
    "靜静 動动 彈弹 躍跃 蹦蹦 滾滚 滑滑 繞绕 環环 轉转 圍围 盪荡 蕩荡 懸悬 飄飘 漂漂 擺摆 搖摇 蕩荡 傾倾 覆覆 無无 "
    "沒没 別别 "
    "牆墙 墻墙 壁壁 闆板 頂顶 廳厅 間间 個个 顆颗 裡里 裏里 邊边 與与 還还 這这 從从 對对 後后 門门 處处 場场 畫画 "
    "給给 來来 "
    "並并 著着 滿满 長长 築筑 砌砌 蓋盖 輕轻 緩缓 斷断 東东 麼么 樣样 麗丽 鐘钟 吊吊 掛挂 繩绳 鏈链 條条 貨货 壇坛 "
    "臺台 檯台 "
    "龕龛 廊廊 雕雕 單单 歡欢 華华 無无 為为 會会 過过 種种 歲岁 穹穹 幾几 兩两 隻只 祇只 們们 請请 說说 讓让 將将 "
    "進进 縫缝 "
    "氣气 屬属 帶带 雙双 陳陈 設设 裝装 飾饰 傢家 連连 僅仅 窄窄 遍遍 鬼鬼 祕秘 暗暗 沖冲 淨净 乾干 爍烁 閃闪 發发 "
    "亂乱 倉仓 "
    "該该 應应 產产 顏颜 時时 見见 視视 現现 問问 關关 於于 擋挡 觸触 點点 線线 細细 緊紧 級级 紋纹 絲丝 幹干 藝艺 "
    "葉叶 園园"
)

SIMPLIFIED: dict[int, str] = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
"""For `str.translate`; one character for one, so that places in the text stay the same."""
